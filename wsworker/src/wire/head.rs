//! A frame's header, read strictly (RFC 6455 §5.2).
//! Does not judge the order of frames or the size of messages; `reader` does.

use fastwebsockets::OpCode;

use crate::error::{Error, Result};

/// A header that is whole and allowed.
pub(super) struct Head {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: Option<[u8; 4]>,
    /// The payload's length.
    pub(super) len: u64,
    /// The header's own length.
    pub(super) size: usize,
}

impl Head {
    /// Reads the header at the start of `bytes`; `None` if more must come first.
    /// `masked` says whether the peer must mask: a client must, a server must
    /// not (§5.1).
    #[inline]
    pub(super) fn parse(bytes: &[u8], masked: bool) -> Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(reserved_bits(first));
        }
        let fin = first & 0x80 != 0;
        let Ok(opcode) = OpCode::try_from(first & 0x0f) else {
            return Err(unknown_opcode(first & 0x0f));
        };
        if (second & 0x80 != 0) != masked {
            return Err(wrong_mask(masked));
        }
        let short = second & 0x7f;
        if is_control(opcode) && (!fin || short > 125) {
            return Err(bad_control(fin));
        }
        let (len, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk::<2>() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk::<8>() else {
                    return Ok(None);
                };
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let shortest = match short {
            126 => len >= 126,
            127 => len > u64::from(u16::MAX) && len >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(bad_length(len));
        }
        let (mask, rest) = if masked {
            let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
                return Ok(None);
            };
            (Some(*mask), rest)
        } else {
            (None, rest)
        };
        Ok(Some(Self {
            fin,
            opcode,
            mask,
            len,
            size: bytes.len() - rest.len(),
        }))
    }
}

#[inline]
pub(super) fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}

// What can go wrong stands apart, so that the way of a good header stays short.

#[cold]
fn reserved_bits(first: u8) -> Error {
    let bits = (first >> 4) & 7;
    Error::protocol(
        1002,
        format!("reserved bits {bits:03b} are set, and no extension was negotiated"),
    )
}

#[cold]
fn unknown_opcode(opcode: u8) -> Error {
    Error::protocol(1002, format!("opcode {opcode:#x} is unknown"))
}

#[cold]
fn wrong_mask(masked: bool) -> Error {
    let message = if masked {
        "a client's frame must be masked"
    } else {
        "a server's frame must not be masked"
    };
    Error::protocol(1002, message)
}

#[cold]
fn bad_control(fin: bool) -> Error {
    let message = if fin {
        "a control frame carries at most 125 bytes"
    } else {
        "a control frame must not be fragmented"
    };
    Error::protocol(1002, message)
}

#[cold]
fn bad_length(len: u64) -> Error {
    let message = if len >> 63 == 0 {
        "the frame's length is not in its shortest form"
    } else {
        "the frame's length has its top bit set"
    };
    Error::protocol(1002, message)
}
