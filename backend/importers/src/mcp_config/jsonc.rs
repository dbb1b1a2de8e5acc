//! JSON with comments and trailing commas, as VS Code and its kin write their settings, as plain JSON of the same length.

use std::io::{self, BufRead, BufReader, Read};

use crate::Source;

/// A source without comments and trailing commas.
pub(super) struct Jsonc<'s>(pub(super) &'s dyn Source);

impl Source for Jsonc<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Plain::new(self.0.open()?)))
    }
}

/// The beginning of a text without comments and trailing commas.
pub(super) fn plain(head: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(head.len());
    // Reading from memory can not fail.
    let _ = Plain::new(head).read_to_end(&mut text);
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Text,
    Escape,
    /// Behind a slash that may begin a comment.
    Slash,
    LineComment,
    BlockComment,
    /// In a block comment behind a star.
    Star,
}

/// Comments become blanks, so that lines and columns of errors stay right. A comma waits until it is known whether something
/// follows: it moves behind the blanks that separate it from that.
struct Plain<R> {
    inner: BufReader<R>,
    state: State,
    comma: bool,
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> Plain<R> {
    fn new(inner: R) -> Self {
        Self { inner: BufReader::new(inner), state: State::Plain, comma: false, ready: Vec::new(), at: 0 }
    }

    /// Passes on a byte that means something.
    fn put(&mut self, byte: u8) {
        if std::mem::take(&mut self.comma) {
            self.ready.push(if matches!(byte, b'}' | b']') { b' ' } else { b',' });
        }
        self.ready.push(byte);
    }

    fn blank(&mut self, byte: u8) {
        self.ready.push(if matches!(byte, b'\n' | b'\r') { byte } else { b' ' });
    }

    fn take(&mut self, byte: u8) {
        match self.state {
            State::Plain => match byte {
                b'/' => self.state = State::Slash,
                b',' => {
                    if self.comma {
                        self.ready.push(b',');
                    }
                    self.comma = true;
                }
                b' ' | b'\n' | b'\r' | b'\t' => self.blank(byte),
                _ => {
                    if byte == b'"' {
                        self.state = State::Text;
                    }
                    self.put(byte);
                }
            },
            State::Text | State::Escape => {
                self.state = match (self.state, byte) {
                    (State::Text, b'"') => State::Plain,
                    (State::Text, b'\\') => State::Escape,
                    _ => State::Text,
                };
                self.put(byte);
            }
            State::Slash if matches!(byte, b'/' | b'*') => {
                self.state = if byte == b'/' { State::LineComment } else { State::BlockComment };
                self.ready.extend_from_slice(b"  ");
            }
            State::Slash => {
                self.state = State::Plain;
                self.put(b'/');
                self.take(byte);
            }
            State::LineComment | State::BlockComment | State::Star => {
                self.state = match (self.state, byte) {
                    (State::LineComment, b'\n') => State::Plain,
                    (State::LineComment, _) => State::LineComment,
                    (State::Star, b'/') => State::Plain,
                    (_, b'*') => State::Star,
                    _ => State::BlockComment,
                };
                self.blank(byte);
            }
        }
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let chunk = self.inner.fill_buf()?;
            let chunk = chunk[..chunk.len().min(8 << 10)].to_vec();
            if chunk.is_empty() {
                // What waited is passed on as it was, for the reader to object to.
                if std::mem::replace(&mut self.state, State::Plain) == State::Slash {
                    self.put(b'/');
                }
                if std::mem::take(&mut self.comma) {
                    self.ready.push(b',');
                }
                if self.ready.is_empty() {
                    return Ok(0);
                }
                break;
            }
            self.inner.consume(chunk.len());
            chunk.into_iter().for_each(|byte| self.take(byte));
        }
        let rest = &self.ready[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_become_blanks() {
        for (jsonc, json) in [
            ("{\"a\": 1, // x\n}", "{\"a\": 1     \n }"),
            ("[1,/* , ] */2,\n]", "[1         ,2\n ]"),
            (r#"{"u": "http://x,}", "e": "\"//"}"#, r#"{"u": "http://x,}" ,"e": "\"//"}"#),
            ("[1,,2]", "[1,,2]"),
            ("[1,", "[1,"),
            ("[/", "[/"),
            ("[1/2]", "[1/2]"),
            ("/** c **/[]", "         []"),
        ] {
            let text = String::from_utf8(plain(jsonc.as_bytes())).unwrap();
            assert_eq!((text.len(), text.as_str()), (jsonc.len(), json));
        }
    }
}
