//! The keys that mask a client's frames (RFC 6455 §5.3).
//! Does not mask; `mask` does.

use std::cell::RefCell;

/// A fresh key that nobody can foresee, for one frame: whoever chooses the
/// payload must not choose with it what the bytes on the wire are (§10.3).
pub(crate) fn fresh() -> [u8; 4] {
    BLOCK.with_borrow_mut(Block::next)
}

/// Random bytes of the system, fetched for many frames at a time.
struct Block {
    bytes: [u8; SIZE],
    left: usize,
}

impl Block {
    fn next(&mut self) -> [u8; 4] {
        if self.left == 0 {
            // The opening handshake's key came from there too.
            getrandom::fill(&mut self.bytes).expect("the system gives random bytes");
            self.left = SIZE;
        }
        self.left -= 4;
        let mut key = [0; 4];
        key.copy_from_slice(&self.bytes[self.left..][..4]);
        key
    }
}

/// A multiple of a key's size.
const SIZE: usize = 512;

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block { bytes: [0; SIZE], left: 0 }) };
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice() {
        // Over several blocks; two of 2^32 may be equal by chance, four will not.
        let keys: HashSet<_> = (0..SIZE).map(|_| fresh()).collect();
        assert!(keys.len() > SIZE - 4, "{} of {SIZE} differ", keys.len());
    }
}
