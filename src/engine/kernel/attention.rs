//! Attention of one query head over a KV that lies in several pieces.

use super::float::{Element, add_weighted, dot_4};
use super::{LANES, add_up, by_cpu, exp};
use half::f16;

/// One piece of a head's keys and values, `[positions, head_dim]` each.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) keys: Floats<'a>,
    pub(crate) values: Floats<'a>,
}

/// Numbers in the format of the KV.
#[derive(Clone, Copy)]
pub(crate) enum Floats<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

impl Floats<'_> {
    fn len(self) -> usize {
        match self {
            Floats::F32(floats) => floats.len(),
            Floats::F16(floats) => floats.len(),
        }
    }
}

/// `softmax(q · Kᵀ · scale) · V` over the first `positions` of `pieces`.
///
/// `query` and `out`: `[head_dim]`; `scores`: scratch for at least `positions`. The order of the sums follows the positions,
/// so where one piece ends and the next begins does not show in the result.
pub(crate) fn attend(
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
        let end = positions.min(at + piece.keys.len() / head_dim);
        match piece.keys {
            Floats::F32(keys) => score(query, keys, &mut scores[at..end]),
            Floats::F16(keys) => score(query, keys, &mut scores[at..end]),
        }
        at = end;
    }
    softmax(scores, scale);
    out.fill(0.0);
    let mut at = 0;
    for piece in pieces {
        let end = positions.min(at + piece.values.len() / head_dim);
        match piece.values {
            Floats::F32(values) => add_weighted(&scores[at..end], values, out),
            Floats::F16(values) => add_weighted(&scores[at..end], values, out),
        }
        at = end;
    }
}

/// The dot products of `query` with the first keys, as many as there are `scores`.
fn score<T: Element>(query: &[f32], keys: &[T], scores: &mut [f32]) {
    let Some(last) = scores.len().checked_sub(1) else { return };
    for (index, four) in scores.chunks_mut(4).enumerate() {
        let key = |i: usize| &keys[(4 * index + i).min(last) * query.len()..][..query.len()];
        let [found] = dot_4([key(0), key(1), key(2), key(3)], [query]);
        four.copy_from_slice(&found[..four.len()]);
    }
}

by_cpu! {
    /// Exponentiates `scores · scale` and normalises it, in place; the largest is subtracted first, so that nothing overflows.
    pub(crate) fn softmax(scores: &mut [f32], scale: f32) = softmax_body
}

#[inline(always)]
fn softmax_body<const FMA: bool>(scores: &mut [f32], scale: f32) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let (blocks, rest) = scores.as_chunks_mut::<LANES>();
    let mut sums = [0f32; LANES];
    for block in blocks {
        for (score, sum) in block.iter_mut().zip(&mut sums) {
            *score = exp::<FMA>((*score - largest) * scale);
            *sum += *score;
        }
    }
    let mut sum = add_up(sums);
    for score in rest {
        *score = exp::<FMA>((*score - largest) * scale);
        sum += *score;
    }
    let share = 1.0 / sum;
    for score in scores {
        *score *= share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<f32> {
        // Numbers that f16 holds exactly.
        (0..length).map(|i| (i * 7919 % 1003) as f32 / 512.0 - 1.0).map(|x| f16::from_f32(x).to_f32()).collect()
    }

    /// In f64, one position after the other.
    fn exact(query: &[f32], keys: &[f32], values: &[f32], scale: f64) -> Vec<f64> {
        let head_dim = query.len();
        let dot = |key: &[f32]| query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>();
        let shares: Vec<f64> = keys.chunks_exact(head_dim).map(|key| (dot(key) * scale).exp()).collect();
        let sum: f64 = shares.iter().sum();
        let of =
            |i: usize| shares.iter().zip(values.chunks_exact(head_dim)).map(|(s, v)| s * f64::from(v[i])).sum::<f64>();
        (0..head_dim).map(|i| of(i) / sum).collect()
    }

    #[test]
    fn pieces_and_formats_do_not_show_in_the_result() {
        for head_dim in [8, 12, 64, 72, 128] {
            let positions = 29;
            let (query, keys, values) =
                (noise(head_dim), noise(positions * head_dim), noise((positions + 3) * head_dim));
            let values = &values[3 * head_dim..];
            let half = |floats: &[f32]| floats.iter().map(|&float| f16::from_f32(float)).collect::<Vec<_>>();
            let (half_keys, half_values) = (half(&keys), half(values));
            let (mut scores, mut out) = (vec![0.0; positions], vec![0.0; head_dim]);
            let whole = [Piece { keys: Floats::F32(&keys), values: Floats::F32(values) }];
            attend(&query, &whole, positions, 0.1, &mut scores, &mut out);
            for (found, exact) in out.iter().zip(exact(&query, &keys, values, 0.1)) {
                assert!((f64::from(*found) - exact).abs() < 1e-5, "{head_dim}: {found} {exact}");
            }
            for cuts in [vec![0, 29], vec![0, 7, 29], vec![0, 1, 16, 29]] {
                let pieces: Vec<Piece> = cuts
                    .windows(2)
                    .map(|cut| {
                        let range = cut[0] * head_dim..cut[1] * head_dim;
                        Piece { keys: Floats::F16(&half_keys[range.clone()]), values: Floats::F16(&half_values[range]) }
                    })
                    .collect();
                let mut again = vec![0.0; head_dim];
                attend(&query, &pieces, positions, 0.1, &mut scores, &mut again);
                assert_eq!(again, out, "{head_dim}, {cuts:?}");
            }
        }
    }
}
