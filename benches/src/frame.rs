//! Frames, masked and laid out before anything is measured.
//! Does not parse: a correct echo is known byte for byte, so replies are compared, not decoded.

/// RFC 6455 §5.2: the opcodes that the loads send.
pub mod opcode {
    /// A further frame of a fragmented message.
    pub const CONTINUATION: u8 = 0x0;
    /// A text message.
    pub const TEXT: u8 = 0x1;
    /// A binary message.
    pub const BINARY: u8 = 0x2;
    /// The end.
    pub const CLOSE: u8 = 0x8;
    /// A ping.
    pub const PING: u8 = 0x9;
    /// The answer to one.
    pub const PONG: u8 = 0xa;
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// RFC 6455 §5.3 wants an unpredictable key; a server cannot tell, and a fixed one repeats runs.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Up to here a chunk is compared whole; of a larger one both ends are.
const COMPARED_WHOLE: usize = 4096;
const COMPARED_ENDS: usize = 64;

/// What a connection sends in one go, and what an echo server answers to it.
pub struct Batch {
    /// `depth` masked frames.
    pub request: Vec<u8>,
    /// The same messages, unmasked, one frame each.
    pub reply: Vec<u8>,
    /// Messages in the batch.
    pub depth: usize,
    size: usize,
}

/// Bytes of a message's number.
pub const NUMBER: usize = size_of::<u64>();

impl Batch {
    /// `depth` messages of `size` bytes. All differ, so that a lost, doubled or swapped reply shows.
    pub fn new(opcode: u8, size: usize, depth: usize) -> Self {
        let mut letters = Letters(0x9e37_79b9_7f4a_7c15);
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for _ in 0..depth {
            let payload: Vec<u8> = letters.by_ref().take(size).collect();
            masked(&mut request, opcode, true, &payload);
            header(&mut reply, opcode, true, None, size as u64);
            reply.extend_from_slice(&payload);
        }
        Self {
            request,
            reply,
            depth,
            size,
        }
    }

    /// Numbers the messages from `first` on, in their first eight bytes, so that an old one shows.
    ///
    /// # Panics
    /// Messages of less than [`NUMBER`] bytes have no room for it.
    pub fn number(&mut self, first: u64) {
        let payload = |frames: &[u8], nth: usize| {
            let start = frames.len() / self.depth * (nth + 1) - self.size;
            start..start + NUMBER
        };
        for nth in 0..self.depth {
            let number = (first + nth as u64).to_be_bytes();
            let at = payload(&self.reply, nth);
            self.reply[at].copy_from_slice(&number);
            let at = payload(&self.request, nth);
            let masked = number.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k);
            let bytes = self.request[at].iter_mut();
            bytes.zip(masked).for_each(|(to, byte)| *to = byte);
        }
    }

    /// Whether `chunk` is what an echo has at `offset` of its reply.
    ///
    /// A wrong length or a split frame moves all that follows, so both ends of a large chunk tell.
    pub fn matches(&self, offset: usize, chunk: &[u8]) -> bool {
        let Some(expected) = self.reply.get(offset..offset + chunk.len()) else {
            return false;
        };
        if chunk.len() <= COMPARED_WHOLE {
            return chunk == expected;
        }
        let tail = chunk.len() - COMPARED_ENDS;
        chunk[..COMPARED_ENDS] == expected[..COMPARED_ENDS] && chunk[tail..] == expected[tail..]
    }
}

/// Appends one masked frame.
pub fn masked(out: &mut Vec<u8>, opcode: u8, fin: bool, payload: &[u8]) {
    header(out, opcode, fin, Some(KEY), payload.len() as u64);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
}

/// Appends a frame's header, in the shortest form (RFC 6455 §5.2), for a payload of `len` bytes.
pub fn header(out: &mut Vec<u8>, opcode: u8, fin: bool, key: Option<[u8; 4]>, len: u64) {
    out.push(opcode | if fin { FIN } else { 0 });
    let mask = if key.is_some() { MASKED } else { 0 };
    match len {
        0..126 => out.push(mask | len as u8),
        126..0x1_0000 => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend(key.into_iter().flatten());
}

/// An endless, repeatable row of lower-case letters: valid as text and as binary.
struct Letters(u64);

impl Iterator for Letters {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        // Knuth's MMIX generator; its high bits are good enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(b'a' + ((self.0 >> 40) % 26) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_takes_the_shortest_form() {
        for (len, bytes) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            header(&mut out, opcode::BINARY, true, None, len);
            assert_eq!(out.len(), bytes, "length {len}");
        }
    }

    #[test]
    fn masked_payload_unmasks_to_itself() {
        let mut out = Vec::new();
        masked(&mut out, opcode::TEXT, true, b"Hello");
        // The example of RFC 6455 §5.7.
        assert_eq!(
            out,
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn a_number_is_in_the_message_and_in_its_reply() {
        let mut batch = Batch::new(opcode::BINARY, 20, 2);
        batch.number(7);
        let mut request = Vec::new();
        for (number, reply) in (7u64..).zip(batch.reply.chunks(22)) {
            assert_eq!(reply[2..10], number.to_be_bytes());
            masked(&mut request, opcode::BINARY, true, &reply[2..]);
        }
        assert_eq!(batch.request, request);
    }

    #[test]
    fn a_swapped_or_longer_reply_does_not_match() {
        let batch = Batch::new(opcode::BINARY, 20, 2);
        let (first, second) = batch.reply.split_at(batch.reply.len() / 2);
        assert!(batch.matches(0, first) && batch.matches(first.len(), second));
        assert!(!batch.matches(0, second));
        assert!(!batch.matches(1, &batch.reply));
    }
}
