//! One Parquet file of one table: the only place that knows the format.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::buffer::{Buffer, Cells, Columns, Values};
use super::{Column, Kind, Table, VERSION};

/// Rows in one row group.
const GROUP_ROWS: usize = 131_072;
/// The compression level: higher ones cost more than they save here.
const ZSTD_LEVEL: i32 = 3;
/// Files with rows of fewer bytes, of which most bytes are names and statistics, are neither compressed nor have they indexes of pages:
/// thirty compressors for a hundred rows take longer than the rows.
const SMALL_BYTES: usize = 64 * 1024;

/// Writes the rows of `buffer` as one file. The same rows give the same bytes.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(buffer: &Buffer, out: impl Write + Send) -> io::Result<()> {
    let failed = |error: ParquetError| io::Error::other(error);
    let schema = schema(buffer.table).map_err(failed)?;
    let (mut rows, mut columns) = (buffer.read(), Columns::new(buffer.table));
    let mut count = columns.fill(&mut rows, GROUP_ROWS);
    let properties = properties(buffer, &columns).map_err(failed)?;
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
    while count > 0 {
        let mut group = file.next_row_group().map_err(failed)?;
        for cells in &columns.0 {
            let Some(mut column) = group.next_column().map_err(failed)? else { break };
            write_column(column.untyped(), cells).map_err(failed)?;
            column.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        count = columns.fill(&mut rows, GROUP_ROWS);
    }
    file.close().map_err(failed)?;
    Ok(())
}

/// Returns how a file is written whose first row group has `columns`.
fn properties(buffer: &Buffer, columns: &Columns) -> Result<WriterProperties, ParquetError> {
    let about = |key: &str, value: String| KeyValue { key: key.to_owned(), value: Some(value) };
    let properties = WriterProperties::builder().set_created_by("meno".to_owned()).set_key_value_metadata(Some(vec![
        about("meno.table", buffer.table.name().to_owned()),
        about("meno.table_version", VERSION.to_string()),
    ]));
    if buffer.bytes() < SMALL_BYTES {
        return Ok(properties.set_statistics_enabled(EnabledStatistics::Chunk).set_offset_index_disabled(true).build());
    }
    let properties = properties.set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?));
    // A dictionary of one value and the run of its number are some bytes: a compressor for them is dearer than what it saves. What a
    // further row group has is not known here.
    let is_all = buffer.rows() <= GROUP_ROWS;
    let same = columns.0.iter().filter(|cells| is_all && cells.are_one());
    let properties = same.fold(properties, |properties, cells| {
        properties.set_column_compression(ColumnPath::from(cells.column.name), Compression::UNCOMPRESSED)
    });
    Ok(properties.build())
}

fn write_column(writer: &mut ColumnWriter<'_>, cells: &Cells) -> Result<(), ParquetError> {
    let levels = cells.column.nullable.then_some(cells.present.as_slice());
    match (writer, &cells.values) {
        (ColumnWriter::BoolColumnWriter(to), Values::Bool(all)) => to.write_batch(all, levels, None),
        (ColumnWriter::Int64ColumnWriter(to), Values::Int(all)) => to.write_batch(all, levels, None),
        (ColumnWriter::DoubleColumnWriter(to), Values::Float(all)) => to.write_batch(all, levels, None),
        (ColumnWriter::ByteArrayColumnWriter(to), Values::Text { bytes, ends }) => {
            let shared = Bytes::copy_from_slice(bytes);
            let begins = std::iter::once(&0).chain(ends);
            let texts: Vec<ByteArray> = begins.zip(ends).map(|(begin, end)| shared.slice(*begin..*end).into()).collect();
            to.write_batch(&texts, levels, None)
        }
        _ => Err(ParquetError::General(format!("column {} has values of another type", cells.column.name))),
    }?;
    Ok(())
}

fn schema(table: Table) -> Result<TypePtr, ParquetError> {
    let fields = table.columns().iter().map(field).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder(table.name()).with_fields(fields).build()?))
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
