//! Frames, with every bit to be set, and what a server may not send.
//! Does not read or write.

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame to send; every bit of it can be set wrong.
#[derive(Clone, Debug)]
pub struct Frame {
    fin: bool,
    rsv: u8,
    opcode: u8,
    mask: Option<[u8; 4]>,
    length: Length,
    payload: Vec<u8>,
}

/// How a header says the payload's length.
#[derive(Clone, Copy, Debug)]
enum Length {
    Shortest,
    In16Bits,
    In64Bits,
    /// In 64 bits, and not the payload's own.
    Announced(u64),
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame {
            fin: true,
            rsv: 0,
            opcode,
            mask: Some([0x37, 0xfa, 0x21, 0x3d]),
            length: Length::Shortest,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(BINARY, payload)
    }

    pub fn continuation(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(CONTINUATION, payload)
    }

    pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(PING, payload)
    }

    pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(PONG, payload)
    }

    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_ref());
        Frame::new(CLOSE, payload)
    }

    pub fn close_empty() -> Frame {
        Frame::new(CLOSE, b"")
    }

    /// FIN is not set: more fragments follow.
    pub fn unfinished(mut self) -> Frame {
        self.fin = false;
        self
    }

    /// Bits 4, 2, 1 are RSV1, RSV2, RSV3.
    pub fn rsv(mut self, bits: u8) -> Frame {
        self.rsv = bits;
        self
    }

    pub fn unmasked(mut self) -> Frame {
        self.mask = None;
        self
    }

    pub fn mask(mut self, mask: [u8; 4]) -> Frame {
        self.mask = Some(mask);
        self
    }

    pub fn length_in_16_bits(mut self) -> Frame {
        self.length = Length::In16Bits;
        self
    }

    pub fn length_in_64_bits(mut self) -> Frame {
        self.length = Length::In64Bits;
        self
    }

    /// The header says this length; what follows it is only the payload.
    pub fn announcing(mut self, length: u64) -> Frame {
        self.length = Length::Announced(length);
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let n = self.payload.len();
        let mut out = Vec::with_capacity(n + 14);
        out.push(u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode);
        match self.length {
            Length::Shortest if n < 126 => out.push(mask_bit | n as u8),
            Length::Announced(length) if length < 126 => out.push(mask_bit | length as u8),
            Length::Shortest if n < 65_536 => push_16(&mut out, mask_bit, n as u16),
            Length::In16Bits => push_16(&mut out, mask_bit, n as u16),
            Length::Announced(length) if length < 65_536 => {
                push_16(&mut out, mask_bit, length as u16);
            }
            Length::Shortest | Length::In64Bits => push_64(&mut out, mask_bit, n as u64),
            Length::Announced(length) => push_64(&mut out, mask_bit, length),
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[][..], |m| m));
        let mask = self.mask.unwrap_or_default();
        let masked = self.payload.iter().enumerate();
        out.extend(masked.map(|(i, byte)| byte ^ mask[i % 4]));
        out
    }
}

/// The frames' bytes one after the other: one packet, if it is small.
pub fn encode_all(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|f| f.encode()).collect()
}

fn push_16(out: &mut Vec<u8>, mask_bit: u8, length: u16) {
    out.push(mask_bit | 126);
    out.extend_from_slice(&length.to_be_bytes());
}

fn push_64(out: &mut Vec<u8>, mask_bit: u8, length: u64) {
    out.push(mask_bit | 127);
    out.extend_from_slice(&length.to_be_bytes());
}

/// A frame that the other side sent, unmasked.
pub struct Received {
    pub fin: bool,
    pub rsv: u8,
    pub opcode: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
    header: usize,
}

impl Received {
    /// The first frame in these bytes and how many it takes, if it is whole.
    pub fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mut header) = match second & 0x7f {
            126 => (be(bytes.get(2..4)?), 4),
            127 => (be(bytes.get(2..10)?), 10),
            n => (u64::from(n), 2),
        };
        let masked = second & 0x80 != 0;
        header += if masked { 4 } else { 0 };
        let end = header + usize::try_from(length).expect("a length that fits");
        let mut payload = bytes.get(header..end)?.to_vec();
        if masked {
            let key = &bytes[header - 4..header];
            for (at, byte) in payload.iter_mut().enumerate() {
                *byte ^= key[at % 4];
            }
        }
        let frame = Received {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            masked,
            payload,
            header,
        };
        Some((frame, end))
    }

    /// What holds for each frame that a server may send without an extension.
    pub(super) fn assert_legal_from_a_server(&self) {
        assert!(!self.masked, "§5.1, a server does not mask: {self:?}");
        assert_eq!(self.rsv, 0, "§5.2, no extension was agreed: {self:?}");
        let shortest = match self.payload.len() {
            0..126 => 2,
            126..65_536 => 4,
            _ => 10,
        };
        assert_eq!(self.header, shortest, "§5.2, the shortest form: {self:?}");
        match self.opcode {
            CONTINUATION | TEXT | BINARY => {}
            CLOSE | PING | PONG => {
                assert!(self.fin, "§5.5, control frames are whole: {self:?}");
                assert!(self.payload.len() <= 125, "§5.5: {self:?}");
                assert!(self.opcode != CLOSE || self.payload.len() != 1, "§5.5.1");
            }
            _ => panic!("§5.2, no such opcode: {self:?}"),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("§5.6, a text is UTF-8")
    }

    pub fn close_code(&self) -> Option<u16> {
        self.payload.get(..2).map(|code| be(code) as u16)
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.payload[..self.payload.len().min(64)];
        f.debug_struct("Received")
            .field("fin", &self.fin)
            .field("rsv", &self.rsv)
            .field("opcode", &self.opcode)
            .field("length", &self.payload.len())
            .field("payload", &String::from_utf8_lossy(start))
            .finish()
    }
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte))
}
