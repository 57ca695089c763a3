//! Lines of a file, one at a time and within a bound
//!
//! A file from outside may hold a line of a gigabyte: a broken export, or one written to hurt. Reading "up to the next
//! line break" would put all of it into memory. Here the bytes past the bound are thrown away as they come, so the line
//! costs time but no memory, and the next line is read as if nothing had been.

use std::io::{ErrorKind, Read};

/// A longer line is refused. The longest honest one, a name of 200 letters with all its columns, is far below.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// One line, or what was left of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The bytes of the line, without its line break.
    Whole(&'a [u8]),
    /// The line was longer than the bound; its bytes were passed over.
    TooLong,
}

/// Reads a file line by line in bounded memory.
pub struct Lines<R> {
    from: R,
    chunk: Vec<u8>,
    at: usize,
    filled: usize,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of this reader.
    pub fn new(from: R) -> Lines<R> {
        Lines { from, chunk: vec![0; CHUNK_BYTES], at: 0, filled: 0, line: Vec::new(), number: 0 }
    }

    /// The next line and its number (the first is 1), or nothing at the end.
    pub fn advance(&mut self) -> std::io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let mut too_long = false;
        let mut begun = false;
        loop {
            if self.at == self.filled && !self.refill()? {
                break;
            }
            begun = true;
            let rest = &self.chunk[self.at..self.filled];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = &rest[..end.unwrap_or(rest.len())];
            too_long = too_long || self.line.len() + part.len() > LINE_BYTES_MAX;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            self.at += part.len() + usize::from(end.is_some());
            if end.is_some() {
                break;
            }
        }
        assert!(
            self.line.len() <= LINE_BYTES_MAX,
            "the kept part of a line stays inside its bound"
        );
        if !begun {
            return Ok(None);
        }
        self.number += 1;
        if too_long {
            return Ok(Some((self.number, Line::TooLong)));
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(Some((self.number, Line::Whole(&self.line))))
    }

    /// Bytes of memory that this reader holds.
    pub fn held_bytes(&self) -> usize {
        self.chunk.capacity() + self.line.capacity()
    }

    fn refill(&mut self) -> std::io::Result<bool> {
        loop {
            match self.from.read(&mut self.chunk) {
                Ok(filled) => {
                    self.at = 0;
                    self.filled = filled;
                    return Ok(filled > 0);
                }
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.advance().unwrap() {
            found.push(match line {
                Line::Whole(bytes) => (number, Some(bytes.to_vec())),
                Line::TooLong => (number, None),
            });
        }
        found
    }

    #[test]
    fn lines_end_as_unix_or_windows_or_the_file_ends_them() {
        let found = all(b"a\r\n\nb\nc");
        let texts: Vec<_> = found.iter().map(|(_, line)| line.as_deref().unwrap()).collect();
        assert_eq!(texts, [&b"a"[..], b"", b"b", b"c"]);
        assert_eq!(found.last().unwrap().0, 4);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_at_the_bound_is_taken_and_one_byte_more_is_not() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.push(b'\n');
        text.extend(vec![b'y'; LINE_BYTES_MAX + 1]);
        text.extend(b"\nz\n");
        let found = all(&text);
        assert_eq!(found[0].1.as_ref().unwrap().len(), LINE_BYTES_MAX);
        assert_eq!(found[1], (2, None));
        assert_eq!(found[2], (3, Some(b"z".to_vec())));
    }

    /// Yields the same byte without end, and counts what was taken.
    struct Endless {
        left: usize,
    }

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = into.len().min(self.left);
            into[..count].fill(b'x');
            self.left -= count;
            Ok(count)
        }
    }

    #[test]
    fn a_line_of_64_mib_is_passed_over_in_bounded_memory() {
        let huge = Endless { left: 64 * 1024 * 1024 };
        let mut lines = Lines::new(huge.chain(&b"\nnext\n"[..]));
        assert_eq!(lines.advance().unwrap(), Some((1, Line::TooLong)));
        assert!(lines.held_bytes() <= 4 * LINE_BYTES_MAX, "held {} bytes", lines.held_bytes());
        assert_eq!(lines.advance().unwrap(), Some((2, Line::Whole(b"next"))));
    }
}
