//! Frames from a server, out of the bytes that came.
//! Takes the short ones alone: what a room sends here has less than 64 KiB, and comes unfragmented.

use anyhow::{Result, ensure};

/// A whole frame.
#[derive(Debug, PartialEq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame and how many bytes it takes; `None` if it is not whole yet.
    pub(super) fn first(bytes: &'a [u8]) -> Result<Option<(Self, usize)>> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        ensure!(
            first & FIN != 0 && first & RESERVED == 0,
            "a frame begins with {first:#04x}, which no message here does"
        );
        // RFC 6455 §5.1: a server masks nothing.
        ensure!(second & MASKED == 0, "the server has masked a frame");
        let (start, len) = match (second, rest) {
            (0..126, _) => (2, usize::from(second)),
            (126, &[high, low, ..]) => (4, usize::from(u16::from_be_bytes([high, low]))),
            (126, _) => return Ok(None),
            _ => anyhow::bail!("a frame of 64 KiB or more"),
        };
        let Some(payload) = bytes.get(start..start + len) else {
            return Ok(None);
        };
        let opcode = first & OPCODE;
        Ok(Some((Self { opcode, payload }, start + len)))
    }

    /// The code of a Close, if it has one.
    pub(super) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*code))
    }
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{header, opcode};

    #[test]
    fn a_frame_is_taken_once_it_is_whole() {
        for len in [0, 5, 125, 126, 3000] {
            let mut bytes = Vec::new();
            header(&mut bytes, opcode::BINARY, true, None, len as u64);
            bytes.resize(bytes.len() + len, b'x');
            let whole = bytes.len();
            bytes.push(0x8a);
            for part in 0..whole {
                assert_eq!(
                    Frame::first(&bytes[..part]).unwrap(),
                    None,
                    "{part} of {len}"
                );
            }
            let (frame, used) = Frame::first(&bytes).unwrap().unwrap();
            assert_eq!((frame.payload.len(), used), (len, whole));
        }
    }

    #[test]
    fn what_no_room_sends_is_an_error() {
        for bytes in [[0x02, 0x00], [0xc2, 0x00], [0x82, 0x80], [0x82, 127]] {
            assert!(Frame::first(&bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_close_has_a_code_or_none() {
        let (frame, _) = Frame::first(&[0x88, 2, 0x03, 0xe9]).unwrap().unwrap();
        assert_eq!(frame.close_code(), Some(1001));
        let (frame, _) = Frame::first(&[0x88, 0]).unwrap().unwrap();
        assert_eq!(frame.close_code(), None);
    }
}
