//! The labels of a task as a tree of tokens: at each fork the model is asked which way it would go.
//!
//! A label's probability is the product over its forks of the probability of its branch among the branches there: that
//! of a decoder which may say nothing but labels. Tokens that leave no choice do not count, so a long label is no worse
//! off than a short one, and no product with the whole vocabulary is needed.

use crate::error::{Result, fail};

/// All labels; each is a leaf.
#[derive(Debug)]
pub(crate) struct Trie {
    forks: Vec<Fork>,
}

/// A place where labels part. The first fork is where all begin to.
#[derive(Debug)]
pub(crate) struct Fork {
    /// The tokens of the answer up to here.
    pub(crate) path: Vec<u32>,
    /// The next token of each branch.
    pub(crate) tokens: Vec<u32>,
    /// Where each branch leads.
    pub(crate) branches: Vec<Branch>,
}

/// What follows a fork's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Branch {
    /// No further choice: this label.
    Label(usize),
    /// Another fork, by its number (larger than this one's).
    Fork(usize),
}

impl Trie {
    /// `labels`: text and tokens of each. `end` ends an answer; it tells a label from a longer one that begins with it.
    ///
    /// # Errors
    /// `InvalidTask` when two labels are the same tokens, or one is none.
    pub(crate) fn new(labels: &[(&str, Vec<u32>)], end: u32) -> Result<Self> {
        for (index, (text, tokens)) in labels.iter().enumerate() {
            if tokens.is_empty() {
                fail!(InvalidTask, "the label \"{text}\" has no token in this model's vocabulary; choose another");
            }
            if let Some((other, _)) = labels[..index].iter().find(|(_, earlier)| earlier == tokens) {
                fail!(
                    InvalidTask,
                    "the labels \"{other}\" and \"{text}\" are the same tokens in this model; rename one"
                );
            }
        }
        let ended: Vec<Vec<u32>> = labels.iter().map(|(_, tokens)| [&tokens[..], &[end]].concat()).collect();
        let mut trie = Self { forks: Vec::new() };
        trie.grow(&ended, (0..labels.len()).collect(), 0);
        Ok(trie)
    }

    /// From the first fork on; a fork comes before those that it leads to.
    pub(crate) fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// Adds what `members`, alike up to `depth`, make; there are at least two. Returns the number of its fork.
    fn grow(&mut self, labels: &[Vec<u32>], members: Vec<usize>, mut depth: usize) -> usize {
        let first = &labels[members[0]];
        while members.iter().all(|&label| labels[label][depth] == first[depth]) {
            depth += 1;
        }
        let number = self.forks.len();
        self.forks.push(Fork { path: first[..depth].to_vec(), tokens: Vec::new(), branches: Vec::new() });
        let mut groups: Vec<(u32, Vec<usize>)> = Vec::new();
        for label in members {
            let token = labels[label][depth];
            match groups.iter_mut().find(|(other, _)| *other == token) {
                Some((_, group)) => group.push(label),
                None => groups.push((token, vec![label])),
            }
        }
        for (token, group) in groups {
            let branch = match group[..] {
                [label] => Branch::Label(label),
                _ => Branch::Fork(self.grow(labels, group, depth + 1)),
            };
            self.forks[number].tokens.push(token);
            self.forks[number].branches.push(branch);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const END: u32 = 9;

    fn trie(labels: &[&[u32]]) -> Result<Trie> {
        let labels: Vec<_> = labels.iter().map(|tokens| ("label", tokens.to_vec())).collect();
        Trie::new(&labels, END)
    }

    #[test]
    fn single_tokens_make_one_fork() {
        let trie = trie(&[&[1], &[2], &[3]]).unwrap();
        let [fork] = trie.forks() else { panic!("{trie:?}") };
        assert_eq!((&fork.path[..], &fork.tokens[..]), (&[][..], &[1, 2, 3][..]));
        assert_eq!(fork.branches, [Branch::Label(0), Branch::Label(1), Branch::Label(2)]);
    }

    #[test]
    fn what_labels_share_is_walked_once() {
        // 1 2 3, 1 2 4 5, 6
        let trie = trie(&[&[1, 2, 3], &[1, 2, 4, 5], &[6]]).unwrap();
        let [root, inner] = trie.forks() else { panic!("{trie:?}") };
        assert_eq!((&root.path[..], &root.tokens[..]), (&[][..], &[1, 6][..]));
        assert_eq!(root.branches, [Branch::Fork(1), Branch::Label(2)]);
        assert_eq!((&inner.path[..], &inner.tokens[..]), (&[1, 2][..], &[3, 4][..]));
    }

    #[test]
    fn a_label_that_begins_another_is_told_apart_by_its_end() {
        let trie = trie(&[&[1], &[1, 2]]).unwrap();
        let [fork] = trie.forks() else { panic!("{trie:?}") };
        assert_eq!((&fork.path[..], &fork.tokens[..]), (&[1][..], &[END, 2][..]));
    }

    #[test]
    fn the_same_tokens_are_refused() {
        assert_eq!(trie(&[&[1, 2], &[1, 2]]).unwrap_err().kind(), ErrorKind::InvalidTask);
        assert_eq!(trie(&[&[], &[1]]).unwrap_err().kind(), ErrorKind::InvalidTask);
    }
}
