//! Bytes to messages: server-sent events and newline-delimited JSON, in pieces of any size.
//!
//! Both decoders wait for whole lines before they look at text, so a character that is split between two pieces is no
//! problem, and both bound how long a line may be, so that a broken server cannot fill the memory. They know nothing of
//! what the messages mean, and the server's wish to reconnect (`retry:`) is ignored: a paid request is never repeated
//! behind the caller's back.

/// A line, or the data of one event, was longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes allowed.
    pub limit: usize,
}

/// Splits bytes into lines that end with LF, CR or CRLF.
#[derive(Debug)]
struct Lines {
    line: Vec<u8>,
    after_cr: bool,
    limit: usize,
}

impl Lines {
    fn new(limit: usize) -> Self {
        Self { line: Vec::new(), after_cr: false, limit }
    }

    /// Hands every line that `bytes` completes to `take`, which may stop the rest by an error.
    fn push<E: From<TooLong>>(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.limit {
                return Err(TooLong { limit: self.limit }.into());
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let taken = take(&self.line);
            self.line.clear();
            taken?;
        }
        Ok(())
    }
}

/// Decodes server-sent events as the HTML standard defines them, except that an event whose closing blank line never
/// came is handed out by [`Self::finish`] instead of being dropped: some servers end with a bare `data: [DONE]`.
#[derive(Debug)]
pub struct SseDecoder {
    lines: Lines,
    data: Vec<u8>,
    has_data: bool,
    first_line: bool,
}

impl SseDecoder {
    /// Returns a decoder that accepts lines and events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { lines: Lines::new(limit), data: Vec::new(), has_data: false, first_line: true }
    }

    /// Hands the data of every event that `bytes` completes to `take`. The events' names are not looked at: every
    /// format that Meno speaks repeats them inside the data, and some gateways leave them out.
    ///
    /// # Errors
    /// [`TooLong`], or what `take` returned.
    pub fn push<E: From<TooLong>>(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Self { lines, data, has_data, first_line } = self;
        let limit = lines.limit;
        lines.push(bytes, |line| {
            let line = match std::mem::take(first_line) {
                true => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line),
                false => line,
            };
            if line.is_empty() {
                if !std::mem::take(has_data) {
                    return Ok(());
                }
                let taken = take(data);
                data.clear();
                return taken;
            }
            if let Some(value) = data_of(line) {
                if data.len() + value.len() + 1 > limit {
                    return Err(TooLong { limit }.into());
                }
                if std::mem::replace(has_data, true) {
                    data.push(b'\n');
                }
                data.extend_from_slice(value);
            }
            Ok(())
        })
    }

    /// Returns the data of an event that the end of the stream cut short of its blank line, if there is one. It may be
    /// half a message.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if let Some(value) = data_of(&self.lines.line) {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        self.has_data.then_some(self.data)
    }
}

/// Returns the value of a `data` line; `None` for comments and other fields.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Decodes newline-delimited JSON; blank lines are skipped.
#[derive(Debug)]
pub struct NdjsonDecoder(Lines);

impl NdjsonDecoder {
    /// Returns a decoder that accepts lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Lines::new(limit))
    }

    /// Hands every line that `bytes` completes to `take`.
    ///
    /// # Errors
    /// [`TooLong`], or what `take` returned.
    pub fn push<E: From<TooLong>>(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.0.push(bytes, |line| if line.trim_ascii().is_empty() { Ok(()) } else { take(line) })
    }

    /// Returns what stands behind the last line's end, if anything does. It may be half a message.
    pub fn finish(self) -> Option<Vec<u8>> {
        Some(self.0.line).filter(|line| !line.trim_ascii().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]], limit: usize) -> (Vec<String>, Option<String>, bool) {
        let mut decoder = SseDecoder::new(limit);
        let mut events = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in pieces {
            let pushed = decoder.push(piece, |data| {
                events.push(text(data));
                Ok::<(), TooLong>(())
            });
            if pushed.is_err() {
                return (events, None, true);
            }
        }
        (events, decoder.finish().map(|data| text(&data)), false)
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str], rest: Option<&str>) {
        let expected = (expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), rest.map(str::to_owned), false);
        assert_eq!(events(&[stream.as_bytes()], 100), expected);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(events(&bytes, 100), expected, "byte by byte");
    }

    #[test]
    fn every_line_end_ends_a_line() {
        check("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n", &["a", "b", "c", "d"], None);
    }

    #[test]
    fn fields_comments_and_marks_are_told_apart() {
        check("\u{feff}data:x\n\n", &["x"], None);
        check(": OPENROUTER PROCESSING\n\nevent: e\nid: 1\nretry: 5\ndata: one\ndata:  two\ndata\n\n", &["one\n two\n"], None);
        check("database: no\nevent: only\n\n", &[], None);
        check("data:\n\n", &[""], None);
    }

    #[test]
    fn an_event_without_its_blank_line_is_handed_out_at_the_end() {
        check("data: a\n\ndata: [DONE]", &["a"], Some("[DONE]"));
        check("data: [DONE]\n", &[], Some("[DONE]"));
        check("data: a\n\nevent: x\n", &["a"], None);
    }

    #[test]
    fn long_lines_and_long_events_are_refused() {
        assert!(events(&[b"data: 0123456789"], 10).2);
        assert!(events(&[b"data:01\ndata:23\ndata:45\ndata:67\n\n"], 10).2);
        assert!(!events(&[b"data:01\n\ndata:23\n\ndata:45\n\ndata:67\n\n"], 10).2);
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same_events(
            parts in prop::collection::vec(prop_oneof![
                Just(b"data: ".to_vec()), Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec()),
                Just("\u{feff}".as_bytes().to_vec()), Just(b":".to_vec()), prop::collection::vec(any::<u8>(), 0..8),
            ], 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream = parts.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&stream[from..cut]);
                from = cut;
            }
            pieces.push(&stream[from..]);
            prop_assert_eq!(events(&pieces, 24), events(&[&stream], 24));
        }
    }

    #[test]
    fn lines_of_json_come_out_one_by_one() {
        let mut decoder = NdjsonDecoder::new(8);
        let mut lines = Vec::new();
        for piece in [&b"{\"a\""[..], b":1}\n\n {}\r", b"\n{\"b\""] {
            let pushed = decoder.push(piece, |line| {
                lines.push(line.to_vec());
                Ok::<(), TooLong>(())
            });
            assert_eq!(pushed, Ok(()));
        }
        assert_eq!(lines, [b"{\"a\":1}".to_vec(), b" {}".to_vec()]);
        assert_eq!(decoder.finish(), Some(b"{\"b\"".to_vec()));
    }
}
