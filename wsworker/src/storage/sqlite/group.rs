//! Batches that are to be stored together: what of them is, where all cannot be.
//! Does not store them.

use std::iter::repeat_with;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why nothing of a group was stored.
pub(super) struct Failure {
    /// Whose statements failed; `None` if it was the transaction's own.
    pub(super) at: Option<usize>,
    pub(super) error: rusqlite::Error,
}

impl Failure {
    pub(super) fn whole(error: rusqlite::Error) -> Self {
        Self { at: None, error }
    }

    pub(super) fn is_full(&self) -> bool {
        self.error.sqlite_error_code() == Some(ErrorCode::DiskFull)
    }
}

/// Stores as much of the group as it can, by `attempt`, which stores all that it gets or
/// nothing. Gives what became of each.
pub(super) fn store_each<T>(
    group: &[T],
    mut attempt: impl FnMut(&[T]) -> Result<(), Failure>,
) -> Vec<Result<(), Arc<rusqlite::Error>>> {
    let mut results: Vec<_> = repeat_with(|| Ok(())).take(group.len()).collect();
    let mut ranges = Vec::new();
    ranges.push(0..group.len());
    while let Some(range) = ranges.pop() {
        let Err(failure) = attempt(&group[range.clone()]) else {
            continue;
        };
        let failed = match failure.at {
            // The others are tried again, without it. No savepoints: a full disk
            // makes SQLite undo the whole transaction all the same.
            Some(at) => {
                let at = range.start + at;
                ranges.push(at + 1..range.end);
                ranges.push(range.start..at);
                at..at + 1
            }
            // Some of them may find room.
            None if failure.is_full() && range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                ranges.push(middle..range.end);
                ranges.push(range.start..middle);
                continue;
            }
            None => range,
        };
        let error = Arc::new(failure.error);
        results[failed].fill_with(|| Err(Arc::clone(&error)));
    }
    results
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(at: Option<usize>, code: i32) -> Failure {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Failure { at, error }
    }

    /// Which of the batches, given by their sizes, a disk with so much room takes.
    fn stored(room: u32, sizes: &[u32]) -> (Vec<bool>, usize) {
        let (mut left, mut attempts) = (room, 0);
        let results = store_each(sizes, |part| {
            attempts += 1;
            let wanted: u32 = part.iter().sum();
            left = left
                .checked_sub(wanted)
                .ok_or_else(|| failure(None, ffi::SQLITE_FULL))?;
            Ok(())
        });
        (results.iter().map(Result::is_ok).collect(), attempts)
    }

    #[test]
    fn of_a_group_for_which_there_is_no_room_only_what_finds_none_fails() {
        assert_eq!(stored(9, &[1, 1, 1, 1]), (vec![true; 4], 1));
        let (results, _) = stored(20, &[1, 1, 100, 1, 1, 1, 1, 1]);
        let without_the_large = [true, true, false, true, true, true, true, true];
        assert_eq!(results, without_the_large);
        // As many as there is room for, the first ones first.
        assert_eq!(stored(2, &[1, 1, 1, 1]).0, [true, true, false, false]);
        // With room for nobody each is tried, and no part twice.
        let (results, attempts) = stored(0, &[1; 64]);
        assert_eq!(results, [false; 64]);
        assert_eq!(attempts, 127);
    }

    #[test]
    fn a_disk_that_fails_otherwise_is_not_asked_again_for_parts_of_a_group() {
        let mut attempts = 0;
        let results = store_each(&[(); 64], |_| {
            attempts += 1;
            Err(failure(None, ffi::SQLITE_IOERR))
        });
        assert!(results.iter().all(Result::is_err));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn a_batch_whose_statements_fail_fails_alone() {
        let results = store_each(&[0, 1, 0, 0, 1, 0], |part| {
            match part.iter().position(|bad| *bad == 1) {
                Some(at) => Err(failure(Some(at), ffi::SQLITE_CONSTRAINT)),
                None => Ok(()),
            }
        });
        let results: Vec<_> = results.iter().map(Result::is_ok).collect();
        assert_eq!(results, [true, false, true, true, false, true]);
    }
}
