//! What tools found and models were not told whole, as files of an export: long texts, pictures and other data.

use data_encoding::BASE64;

use crate::domain::tool::{RESULT_BYTES_MAX, kept_beside};
use crate::views::run_detail::WholeResult;

/// Returns the files of a result: their names and what stands in them.
pub fn export_tools(result: &WholeResult) -> Vec<(String, Vec<u8>)> {
    let WholeResult { agent, attempt, call, tool_call, text } = result;
    let name = format!("agent-{agent}-attempt-{attempt}-call-{call}-tool-{tool_call}");
    let (told, beside) = kept_beside(text);
    let mut files = Vec::new();
    if beside.is_empty() || told.len() > RESULT_BYTES_MAX {
        files.push((format!("{name}.txt"), told.as_bytes().to_vec()));
    }
    for ((words, data), number) in beside.iter().zip(1u32..) {
        let kind = words.split(' ').next().filter(|kind| matches!(*kind, "image" | "audio")).unwrap_or("data");
        let name = format!("{name}-{kind}-{number}");
        files.push(match BASE64.decode(data.as_bytes()) {
            Ok(bytes) => (format!("{name}.{}", extension(&bytes)), bytes),
            // What a server calls data may be none.
            Err(_) => (format!("{name}.base64.txt"), data.as_bytes().to_vec()),
        });
    }
    files
}

/// Returns the extension for data by how it begins: what a server says that it is need not be so.
fn extension(bytes: &[u8]) -> &'static str {
    let is_at = |at: usize, words: &[u8]| bytes.get(at..).is_some_and(|bytes| bytes.starts_with(words));
    let kinds: [(&[u8], &str); 11] = [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpg"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"BM", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"%PDF-", "pdf"),
        (b"ID3", "mp3"),
        (b"OggS", "ogg"),
        (b"\x1f\x8b", "gz"),
    ];
    let known = kinds.iter().find(|(words, _)| is_at(0, words)).map(|(_, extension)| *extension);
    known.unwrap_or(match (is_at(0, b"RIFF"), is_at(8, b"WEBP"), is_at(8, b"WAVE")) {
        (true, true, _) => "webp",
        (true, _, true) => "wav",
        _ => "bin",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tool::KEPT_BESIDE;

    fn files(text: String) -> Vec<(String, Vec<u8>)> {
        export_tools(&WholeResult { agent: 0, attempt: 2, call: 5, tool_call: 1, text })
    }

    #[test]
    fn a_long_result_is_a_text_and_data_have_files_of_their_own() {
        let long = "x".repeat(RESULT_BYTES_MAX + 1);
        assert_eq!(files(long.clone()), [("agent-0-attempt-2-call-5-tool-1.txt".to_owned(), long.clone().into_bytes())]);
        let picture = b"\x89PNG\r\n\x1a\nrest".to_vec();
        let beside = format!(
            "{KEPT_BESIDE}[image 1: image/jpeg, 12 bytes, in Base64]\n{}\n[resource 2: text/html, 3 bytes, in Base64]\nPGI+\n\
             [audio 3: audio/wav, 3 bytes, in Base64]\nno!base64\n",
            BASE64.encode(&picture)
        );
        let name = |end: &str| format!("agent-0-attempt-2-call-5-tool-1{end}");
        let data = [
            (name("-image-1.png"), picture),
            (name("-data-2.bin"), b"<b>".to_vec()),
            (name("-audio-3.base64.txt"), b"no!base64".to_vec()),
        ];
        assert_eq!(files(format!("short{beside}")), data);
        let both = files(format!("{long}{beside}"));
        assert_eq!((both[0].0.clone(), both[0].1.len(), &both[1..]), (name(".txt"), long.len(), &data[..]));
    }

    #[test]
    fn extensions_are_those_of_what_there_is() {
        assert_eq!(["png", "jpg", "gif"].map(|_| extension(b"")), ["bin"; 3]);
        assert_eq!([extension(b"RIFF\0\0\0\0WEBPVP8 "), extension(b"RIFF\0\0\0\0WAVEfmt ")], ["webp", "wav"]);
        assert_eq!([extension(b"\xff\xd8\xff\xe0"), extension(b"GIF89a"), extension(b"<svg>")], ["jpg", "gif", "bin"]);
    }
}
