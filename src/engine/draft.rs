//! Guesses how a reply goes on where it repeats what was said before, as when it quotes a passage.
//!
//! Prompt lookup decoding (Saxena 2023): the last tokens are looked up in the conversation, and what followed them there is the
//! guess. The guessed tokens are computed in one pass with the next one, which reads the weights once; those that the sampler
//! would have picked anyway are kept. A reply is the same with and without.

/// Tokens that are looked up.
const LOOKED_UP: usize = 3;
/// Most tokens of a guess, and those of the first.
const MOST: usize = 8;
const FIRST: usize = 4;
/// Tokens without a guess after one that was all wrong.
const PAUSE: usize = 16;

/// How long guesses are worth while.
#[derive(Debug)]
pub(super) struct Draft {
    length: usize,
    pause: usize,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self { length: FIRST, pause: 0 }
    }

    /// Up to `room` tokens that may follow `seen`.
    pub(super) fn guess<'a>(&mut self, seen: &'a [u32], room: usize) -> &'a [u32] {
        if self.pause > 0 {
            self.pause -= 1;
            return &[];
        }
        let Some(start) = seen.len().checked_sub(LOOKED_UP) else { return &[] };
        let earlier = seen[..seen.len() - 1].windows(LOOKED_UP).rposition(|tokens| *tokens == seen[start..]);
        let followed = earlier.map_or(&[][..], |at| &seen[at + LOOKED_UP..]);
        &followed[..followed.len().min(self.length).min(room)]
    }

    /// Takes into account that of a guess of `length` tokens the first `right` were right.
    pub(super) fn learn(&mut self, length: usize, right: usize) {
        if length == 0 {
            return;
        }
        match right {
            0 => *self = Self { length: FIRST, pause: PAUSE },
            _ if right == length => self.length = (2 * self.length).min(MOST),
            _ => self.length = right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_last_time_is_the_guess() {
        let mut draft = Draft::new();
        assert_eq!(draft.guess(&[1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 9, 8, 1, 2, 3], 8), [9, 8, 1, 2]);
        assert_eq!(draft.guess(&[1, 2, 3, 4, 5, 1, 2, 3], 2), [4, 5]);
        assert_eq!(draft.guess(&[7, 7, 7, 7], 8), [7]);
        for seen in [&[][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 2, 3]] {
            assert!(draft.guess(seen, 8).is_empty());
        }
    }

    #[test]
    fn guesses_become_longer_while_they_are_right_and_pause_when_they_are_not() {
        let seen: Vec<u32> = (0..20).chain(0..3).collect();
        let mut draft = Draft::new();
        draft.learn(4, 4);
        assert_eq!(draft.guess(&seen, 20).len(), 8);
        draft.learn(8, 3);
        assert_eq!(draft.guess(&seen, 20).len(), 3);
        draft.learn(3, 0);
        let lengths: Vec<usize> = (0..PAUSE + 1).map(|_| draft.guess(&seen, 20).len()).collect();
        assert!(lengths[..PAUSE].iter().all(|&length| length == 0) && lengths[PAUSE] == FIRST);
    }
}
