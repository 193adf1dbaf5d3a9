//! Lines of a file of any length, one at a time and never the whole file in memory.

use std::io::{self, BufRead, Read};

/// The longest line in bytes: what is longer is no run but a fault of the file.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A line of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line break and without blanks around them.
    Text(&'a [u8]),
    /// It is longer than [`LINE_BYTES_MAX`] and was skipped.
    TooLong,
}

/// Reads lines from `source`.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    line_max: usize,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads lines from `source`, of at most [`LINE_BYTES_MAX`] bytes each.
    pub fn new(source: R) -> Self {
        Self::with_max(source, LINE_BYTES_MAX)
    }

    fn with_max(source: R, line_max: usize) -> Self {
        Self { source, line_max, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// Returns how many bytes were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the next line that is not blank, with its number from 1; `None` at the end.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            self.buffer.clear();
            let limit = self.line_max as u64 + 1;
            let read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            if read > self.line_max && self.buffer.last() != Some(&b'\n') {
                self.buffer = Vec::new();
                self.skip_rest()?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            // A mark of the byte order stands at the beginning of files from some editors.
            let from = if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            if !self.buffer[from..].trim_ascii().is_empty() {
                return Ok(Some((self.number, Line::Text(self.buffer[from..].trim_ascii()))));
            }
        }
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let part = self.source.fill_buf()?;
            let (skipped, done) = match part.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (part.len(), part.is_empty()),
            };
            self.source.consume(skipped);
            self.bytes += skipped as u64;
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], max: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::with_max(text, max);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            found.push((
                number,
                match line {
                    Line::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
                    Line::TooLong => None,
                },
            ));
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        found
    }

    #[test]
    fn lines_keep_their_numbers_over_blanks_marks_and_windows_breaks() {
        let found = all(b"\xef\xbb\xbfone\r\n\n  \ntwo\nthree", 100);
        assert_eq!(found, [(1, Some("one".into())), (4, Some("two".into())), (5, Some("three".into()))]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        let found = all(b"12345678901\n1234567890\nx\n12345678901", 10);
        assert_eq!(found, [(1, None), (2, Some("1234567890".into())), (3, Some("x".into())), (4, None)]);
    }
}
