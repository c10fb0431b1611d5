//! Attention of one query head over a KV that lies in several pieces.

use super::float::dot_body;
use super::{by_cpu, multiply_add};

/// One piece of a head's keys and values, `[positions, head_dim]` each.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
}

by_cpu! {
    /// `softmax(q · Kᵀ · scale) · V` over the first `positions` of `pieces`.
    ///
    /// `query` and `out`: `[head_dim]`; `scores`: scratch for at least `positions`. The order of the sums follows the
    /// positions, so where one piece ends and the next begins does not show in the result.
    pub(crate) fn attend(
        query: &[f32],
        pieces: &[Piece],
        positions: usize,
        scale: f32,
        scores: &mut [f32],
        out: &mut [f32],
    ) = attend_body
}

#[inline(always)]
fn attend_body<const FMA: bool>(
    query: &[f32],
    pieces: &[Piece],
    positions: usize,
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let head_dim = query.len();
    let scores = &mut scores[..positions];
    let mut at = 0;
    for piece in pieces {
        for key in piece.keys.chunks_exact(head_dim).take(positions - at) {
            scores[at] = dot_body::<FMA>(query, key) * scale;
            at += 1;
        }
    }
    softmax(scores);
    out.fill(0.0);
    let mut scores = scores.iter();
    for piece in pieces {
        // `zip` asks the values first: a score must not be taken when the piece has ended.
        for (value, &score) in piece.values.chunks_exact(head_dim).zip(scores.by_ref()) {
            for (out, &value) in out.iter_mut().zip(value) {
                *out = multiply_add::<FMA>(score, value, *out);
            }
        }
    }
}

/// Exponentiates and normalises `scores` in place; the largest is subtracted first, so that nothing overflows.
pub(crate) fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
}
