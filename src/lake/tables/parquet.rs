//! One Parquet file of one table: the only place that knows the format.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::buffer::{Buffer, Cells, Values};
use super::{Column, Kind, VERSION};

/// Rows in one row group.
const GROUP_ROWS: usize = 131_072;
/// The compression level: higher ones cost more than they save here.
const ZSTD_LEVEL: i32 = 3;

/// Writes the rows of `buffer` as one file. The same rows give the same bytes.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(buffer: &Buffer, out: impl Write + Send) -> io::Result<()> {
    let failed = |error: ParquetError| io::Error::other(error);
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
    let about = |key: &str, value: String| KeyValue { key: key.to_owned(), value: Some(value) };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by("meno".to_owned())
        .set_key_value_metadata(Some(vec![
            about("meno.table", buffer.table.name().to_owned()),
            about("meno.table_version", VERSION.to_string()),
        ]))
        .build();
    let schema = schema(buffer).map_err(failed)?;
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
    // How many values that are not null each column had in the groups before.
    let mut begun = vec![0; buffer.columns.len()];
    let mut from = 0;
    while from < buffer.rows() {
        let rows = from..buffer.rows().min(from + GROUP_ROWS);
        let mut group = file.next_row_group().map_err(failed)?;
        for (cells, begun) in buffer.columns.iter().zip(&mut begun) {
            let present = cells.present.get(rows.clone()).unwrap_or_default();
            let values = *begun..*begun + present.iter().filter(|present| **present).count();
            let levels: Vec<i16> = present.iter().map(|present| i16::from(*present)).collect();
            let levels = cells.column.nullable.then_some(levels.as_slice());
            let Some(mut column) = group.next_column().map_err(failed)? else { break };
            write_column(column.untyped(), cells, values.clone(), levels).map_err(failed)?;
            column.close().map_err(failed)?;
            *begun = values.end;
        }
        group.close().map_err(failed)?;
        from = rows.end;
    }
    file.close().map_err(failed)?;
    Ok(())
}

fn write_column(
    writer: &mut ColumnWriter<'_>,
    cells: &Cells,
    values: Range<usize>,
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let written = match (writer, &cells.values) {
        (ColumnWriter::BoolColumnWriter(to), Values::Bool(all)) => {
            to.write_batch(all.get(values.clone()).unwrap_or_default(), levels, None)
        }
        (ColumnWriter::Int64ColumnWriter(to), Values::Int(all)) => {
            to.write_batch(all.get(values.clone()).unwrap_or_default(), levels, None)
        }
        (ColumnWriter::DoubleColumnWriter(to), Values::Float(all)) => {
            to.write_batch(all.get(values.clone()).unwrap_or_default(), levels, None)
        }
        (ColumnWriter::ByteArrayColumnWriter(to), Values::Text { bytes, ends }) => {
            let begin = |place: usize| if place == 0 { 0 } else { ends.get(place - 1).copied().unwrap_or(0) };
            let from = begin(values.start);
            let shared = Bytes::copy_from_slice(bytes.get(from..begin(values.end)).unwrap_or_default());
            let texts: Vec<ByteArray> =
                values.clone().map(|place| shared.slice(begin(place) - from..begin(place + 1) - from).into()).collect();
            to.write_batch(&texts, levels, None)
        }
        _ => Err(ParquetError::General(format!("column {} has values of another type", cells.column.name))),
    }?;
    debug_assert_eq!(written, values.len());
    Ok(())
}

fn schema(buffer: &Buffer) -> Result<TypePtr, ParquetError> {
    let fields = buffer.columns.iter().map(|cells| field(&cells.column)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder(buffer.table.name()).with_fields(fields).build()?))
}

fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    const USD_DIGITS: i32 = 18;
    const USD_DECIMALS: i32 = 9;
    let physical = match column.kind {
        Kind::Bool => Physical::BOOLEAN,
        Kind::Int | Kind::Time | Kind::Usd => Physical::INT64,
        Kind::Float => Physical::DOUBLE,
        Kind::Text => Physical::BYTE_ARRAY,
    };
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let field = Type::primitive_type_builder(column.name, physical).with_repetition(repetition);
    let field = match column.kind {
        Kind::Text => field.with_converted_type(ConvertedType::UTF8).with_logical_type(Some(LogicalType::String)),
        Kind::Time => field.with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Usd => field
            .with_logical_type(Some(LogicalType::decimal(USD_DECIMALS, USD_DIGITS)))
            .with_precision(USD_DIGITS)
            .with_scale(USD_DECIMALS),
        Kind::Bool | Kind::Int | Kind::Float => field,
    };
    Ok(Arc::new(field.build()?))
}
