//! Putting values where a JSON path looks, for paths made of names, numbers and wildcards.

use serde_json::{Map, Value};

/// Arrays are filled up to this number, not further.
const INDEX_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(usize),
}

/// Sets what `path` finds first to `value`, making what is missing on the way. False when the path is of another kind.
pub(super) fn set(root: &mut Value, path: &str, value: Value) -> bool {
    let Some(segments) = segments(path) else { return false };
    let mut place = root;
    for segment in segments {
        place = match segment {
            Segment::Name(name) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Some(fields) = place.as_object_mut() else { return false };
                fields.entry(name).or_insert(Value::Null)
            }
            Segment::Index(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let Some(items) = place.as_array_mut() else { return false };
                // A new item is made like its neighbour, so that it keeps the neighbour's form.
                let like = items.last().cloned().unwrap_or(Value::Null);
                while items.len() <= index {
                    items.push(like.clone());
                }
                &mut items[index]
            }
        };
    }
    *place = value;
    true
}

/// Reads `$.a['b'][0][*]..c`; a wildcard is the first item, a descent looks at the root's own fields.
fn segments(path: &str) -> Option<Vec<Segment>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, next) = after.split_once(']')?;
            let inside = inside.trim();
            let quoted = ['\'', '"'].iter().find_map(|mark| inside.strip_prefix(*mark)?.strip_suffix(*mark));
            segments.push(match (quoted, inside) {
                (Some(name), _) if !name.contains(['\'', '"', '\\']) => Segment::Name(name.to_owned()),
                (None, "*") => Segment::Index(0),
                (None, number) => Segment::Index(number.parse().ok().filter(|index| *index <= INDEX_MAX)?),
                _ => return None,
            });
            rest = next;
        } else {
            let after = rest.strip_prefix("..").or_else(|| rest.strip_prefix('.'))?;
            if after.starts_with('[') {
                rest = after;
                continue;
            }
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let name = &after[..end];
            segments.push(match name {
                "*" => Segment::Index(0),
                name if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                    Segment::Name(name.to_owned())
                }
                _ => return None,
            });
            rest = &after[end..];
        }
    }
    Some(segments)
}

/// Removes what stands at a JSON pointer, from its object or array.
pub(super) fn remove(root: &mut Value, pointer: &str) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    let last = last.replace("~1", "/").replace("~0", "~");
    match root.pointer_mut(parent) {
        // `shift_remove` keeps the order of the other fields.
        Some(Value::Object(fields)) => fields.shift_remove(&last).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Returns the pointers of the strings in `value`, in order, at most `most` of them.
pub(super) fn strings(value: &Value, most: usize) -> Vec<String> {
    fn walk(value: &Value, pointer: &str, most: usize, found: &mut Vec<String>) {
        if found.len() >= most {
            return;
        }
        match value {
            Value::String(_) => found.push(pointer.to_owned()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{pointer}/{index}"), most, found);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    walk(field, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), most, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", most, &mut found);
    found
}
