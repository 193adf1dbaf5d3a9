//! Keeps an answer within what a client takes: long texts are cut and said to be, lists end where the room ends and say where to go on.

use serde_json::{Map, Value, json};

/// Bytes of one answer's JSON. It goes out twice, structured and as text; clients that count both count 25,000 tokens at most, at more than
/// three bytes per token.
pub(super) const BYTES_MAX: usize = 40_000;
/// Bytes of one page of a text.
pub(super) const TEXT_BYTES_MAX: usize = 30_000;
/// Lengths to which texts are cut, one after the other until the answer fits.
const TEXT_LENGTHS: [usize; 6] = [12_000, 4_000, 1_500, 600, 250, 100];
/// Cut texts that are named, at most.
const NAMED_MAX: usize = 40;

/// Says in a schema what [`fit`] may add to a document.
pub(super) fn with_paging(schema: &mut Map<String, Value>, list: Option<&str>) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    if let Some(list) = list {
        let description = format!("Where `{list}` goes on: give it as `offset`. Absent at the end.");
        properties.insert("next_offset".to_owned(), json!({"type": "integer", "minimum": 0, "description": description}));
    }
    let description = "Texts that were cut, by their JSON pointer into the whole document, with their length in bytes. `read_text` reads \
                       texts of a run from there.";
    let named = json!({
        "type": "object",
        "properties": {"pointer": {"type": "string"}, "bytes": {"type": "integer"}},
        "required": ["pointer", "bytes"],
    });
    properties.insert("left_out".to_owned(), json!({"type": "array", "items": named, "description": description}));
}

/// Returns the document from item `offset` of its list `list` on, as much of it as there is room for.
///
/// # Errors
/// When it cannot be made to fit.
pub(super) fn fit(mut document: Value, list: Option<&str>, offset: usize) -> Result<Value, TooLarge> {
    if let Some(items) = list.and_then(|list| document[list].as_array_mut()) {
        items.drain(..offset.min(items.len()));
    }
    if length(&document) <= BYTES_MAX {
        return Ok(document);
    }
    let mut cut = document.clone();
    let mut left_out = Vec::new();
    for most in TEXT_LENGTHS {
        cut = document.clone();
        left_out.clear();
        cut_texts(&mut cut, most, &mut String::new(), &mut left_out);
        if length(&cut) + 100 * left_out.len().min(NAMED_MAX) <= BYTES_MAX {
            break;
        }
    }
    if let Some(list) = list {
        let room = BYTES_MAX.saturating_sub(100 * left_out.len().min(NAMED_MAX) + 40);
        let mut over = length(&cut).saturating_sub(room);
        let mut kept = 0;
        if let Some(items) = cut[list].as_array_mut() {
            let before = items.len();
            while over > 0 && items.len() > 1 {
                over = over.saturating_sub(items.pop().map_or(0, |item| length(&item) + 1));
            }
            kept = items.len();
            if kept < before {
                cut["next_offset"] = json!(offset + kept);
            }
        }
        let begin = format!("/{list}/");
        left_out.retain(|(pointer, _)| index_in(pointer, &begin).is_none_or(|(index, _)| index < kept));
        for (pointer, _) in &mut left_out {
            if let Some((index, rest)) = index_in(pointer, &begin) {
                *pointer = format!("{begin}{}{rest}", index + offset);
            }
        }
    }
    if !left_out.is_empty() {
        left_out.truncate(NAMED_MAX);
        let named = left_out.into_iter().map(|(pointer, bytes)| json!({"pointer": pointer, "bytes": bytes}));
        cut["left_out"] = named.collect();
    }
    if length(&cut) > BYTES_MAX { Err(TooLarge) } else { Ok(cut) }
}

/// An answer does not fit, however its texts are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Splits a pointer below `begin` into the index that follows and the rest.
fn index_in<'p>(pointer: &'p str, begin: &str) -> Option<(usize, &'p str)> {
    let rest = pointer.strip_prefix(begin)?;
    let end = rest.find('/').unwrap_or(rest.len());
    Some((rest[..end].parse().ok()?, &rest[end..]))
}

fn length(value: &Value) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}

/// Cuts every text of `value` to its first `most` bytes and an ellipsis.
fn cut_texts(value: &mut Value, most: usize, pointer: &mut String, left_out: &mut Vec<(String, usize)>) {
    let before = pointer.len();
    match value {
        Value::String(text) if text.len() > most => {
            left_out.push((pointer.clone(), text.len()));
            text.truncate(text.floor_char_boundary(most));
            text.push('…');
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                pointer.push_str(&format!("/{index}"));
                cut_texts(item, most, pointer, left_out);
                pointer.truncate(before);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                cut_texts(field, most, pointer, left_out);
                pointer.truncate(before);
            }
        }
        _ => {}
    }
}

/// Returns the page of `text` that begins at byte `offset`, with where it ends; a position inside a character counts as its beginning.
pub(super) fn page(text: &str, offset: usize) -> (&str, usize) {
    let from = text.floor_char_boundary(offset);
    let to = text.floor_char_boundary(from.saturating_add(TEXT_BYTES_MAX));
    (&text[from..to], to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_left_alone() {
        let document = json!({"runs": [1, 2, 3], "total": 3});
        assert_eq!(fit(document.clone(), Some("runs"), 0), Ok(document));
        assert_eq!(fit(json!({"runs": [1, 2, 3]}), Some("runs"), 2), Ok(json!({"runs": [3]})));
        assert_eq!(fit(json!({"runs": [1]}), Some("runs"), 9), Ok(json!({"runs": []})));
    }

    #[test]
    fn long_texts_are_cut_and_named_by_where_they_stand_in_the_whole() {
        let agent = |output: &str| json!({"role": "r", "output": output, "a/b": ["é".repeat(9_000)]});
        let document = json!({"agents": [agent("x"), agent(&"y".repeat(50_000))]});
        let fitted = fit(document.clone(), Some("agents"), 1).unwrap();
        assert!(length(&fitted) <= BYTES_MAX);
        let left_out = fitted["left_out"].as_array().unwrap();
        assert_eq!(left_out[0], json!({"pointer": "/agents/1/output", "bytes": 50_000}));
        for named in left_out {
            let text = document.pointer(named["pointer"].as_str().unwrap()).unwrap().as_str().unwrap();
            assert_eq!(named["bytes"], text.len());
        }
        assert!(fitted["agents"][0]["output"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn a_list_is_read_to_its_end_page_by_page() {
        let all: Vec<Value> = (0..900).map(|n| json!({"run_id": n, "note": "z".repeat(90)})).collect();
        let (mut offset, mut read) = (0, Vec::new());
        loop {
            let page = fit(json!({"runs": all}), Some("runs"), offset).unwrap();
            assert!(length(&page) <= BYTES_MAX);
            read.extend(page["runs"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_offset"].as_u64() else { break };
            offset = next as usize;
        }
        assert_eq!(read, all);
    }

    #[test]
    fn a_text_is_read_to_its_end_page_by_page() {
        let text = "añ€😀".repeat(9_000);
        let (mut offset, mut read) = (0, String::new());
        while offset < text.len() {
            let (part, next) = page(&text, offset);
            assert!(!part.is_empty());
            read += part;
            offset = next;
        }
        assert_eq!(read, text);
        assert_eq!(page("abc", 99), ("", 3));
    }

    proptest! {
        #[test]
        fn nothing_that_is_returned_is_too_long(lengths in prop::collection::vec(0usize..30_000, 0..40), offset in 0usize..50) {
            let items: Vec<Value> = lengths.iter().map(|length| json!({"text": "\u{1b}".repeat(*length)})).collect();
            if let Ok(fitted) = fit(json!({"items": items}), Some("items"), offset) {
                prop_assert!(length(&fitted) <= BYTES_MAX);
            }
        }
    }
}
