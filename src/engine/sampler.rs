//! Picks the next token from logits.

use super::kernel::attention::softmax;
use serde::Deserialize;

/// How to pick. The defaults of a model come from its `generation_config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the likeliest token. At least 0.
    pub temperature: f32,
    /// Keep only this many likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the likeliest tokens that together reach this probability, 0 (exclusive) to 1.
    pub top_p: f32,
    /// Keep tokens at least this likely relative to the likeliest, 0 to 1.
    pub min_p: f32,
    /// Divides positive (multiplies negative) logits of tokens already in prompt or reply; 1 is off. Above 0.
    /// Keskar et al. 2019 (CTRL), as in transformers.
    pub repetition_penalty: f32,
    /// Same seed, same prompt, same reply.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// A [`Sampling`] in use.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
}

impl Sampler {
    /// A sampler at the beginning of its random sequence.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, random: SplitMix64(sampling.seed) }
    }

    /// The next token, given the logits `[vocab]` (changed in place) and all tokens before it.
    pub fn pick(&mut self, logits: &mut [f32], before: &[u32]) -> u32 {
        let Sampling { temperature, top_k, top_p, min_p, repetition_penalty, .. } = self.sampling;
        if repetition_penalty != 1.0 {
            penalize(logits, before, repetition_penalty);
        }
        if temperature == 0.0 {
            return likeliest(logits);
        }
        let (candidates, chances) = match top_k {
            0 => nucleus(logits, temperature, |chances| {
                chances.iter().sum::<f32>() >= top_p || chances[chances.len() - 1] < min_p * chances[0]
            }),
            _ => {
                let candidates = largest(logits, top_k);
                let mut chances: Vec<f32> = candidates.iter().map(|&id| logits[id as usize]).collect();
                softmax(&mut chances, 1.0 / temperature);
                (candidates, chances)
            }
        };
        let mut kept = 0;
        let mut mass = 0.0;
        while kept < chances.len() && (kept == 0 || (mass < top_p && chances[kept] >= min_p * chances[0])) {
            mass += chances[kept];
            kept += 1;
        }
        let mut point = self.random.unit() * mass;
        for (&id, chance) in candidates.iter().zip(&chances[..kept]) {
            point -= chance;
            if point < 0.0 {
                return id;
            }
        }
        candidates[kept - 1]
    }
}

/// The likeliest tokens and their chances among all tokens: as many as it takes for `enough`.
fn nucleus(logits: &[f32], temperature: f32, enough: impl Fn(&[f32]) -> bool) -> (Vec<u32>, Vec<f32>) {
    let mut chances = logits.to_vec();
    softmax(&mut chances, 1.0 / temperature);
    // Sorting a few is quick, sorting all is not.
    let mut count = 64;
    loop {
        let candidates = largest(logits, count);
        let of_candidates: Vec<f32> = candidates.iter().map(|&id| chances[id as usize]).collect();
        if count >= logits.len() || enough(&of_candidates) {
            return (candidates, of_candidates);
        }
        count *= 16;
    }
}

/// The ids of the `count` largest logits, the largest first; of equal ones that with the smaller id.
fn largest(logits: &[f32], count: usize) -> Vec<u32> {
    /// Of each so many logits the largest is found first.
    const CHUNK: usize = 128;
    let maxima: Vec<f32> = logits.chunks(CHUNK).map(|chunk| chunk.iter().fold(f32::NEG_INFINITY, max)).collect();
    // So many chunks have a logit of at least this, so none smaller is among the largest.
    let mut bound = f32::NEG_INFINITY;
    if count < maxima.len() {
        bound = *maxima.clone().select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1;
    }
    let chunks = logits.chunks(CHUNK).zip(&maxima).enumerate().filter(|(_, (_, maximum))| **maximum >= bound);
    let within = chunks.flat_map(|(chunk, (logits, _))| (CHUNK * chunk..).zip(logits));
    let mut ids: Vec<u32> = within.filter(|(_, logit)| **logit >= bound).map(|(id, _)| id as u32).collect();
    let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < ids.len() {
        ids.select_nth_unstable_by(count - 1, by_logit);
        ids.truncate(count);
    }
    ids.sort_unstable_by(by_logit);
    ids
}

fn max(largest: f32, logit: &f32) -> f32 {
    if *logit > largest { *logit } else { largest }
}

/// The first of the largest.
fn likeliest(logits: &[f32]) -> u32 {
    largest(logits, 1)[0]
}

fn penalize(logits: &mut [f32], before: &[u32], penalty: f32) {
    let mut seen: Vec<u32> = before.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"; enough to draw a token.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// From 0 (inclusive) to 1 (exclusive).
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(sampling: Sampling, logits: &[f32], count: usize) -> Vec<usize> {
        let mut sampler = Sampler::new(sampling);
        let mut counts = vec![0; logits.len()];
        for _ in 0..count {
            counts[sampler.pick(&mut logits.to_vec(), &[]) as usize] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_largest() {
        assert_eq!(draws(Sampling::default(), &[1.0, 3.0, 3.0], 10), [0, 10, 0]);
    }

    #[test]
    fn the_largest_are_those_of_a_full_sort() {
        let mut random = SplitMix64(3);
        // Some of them equal.
        let logits: Vec<f32> = (0..5000).map(|_| (random.unit() * 1000.0).floor()).collect();
        let mut all: Vec<u32> = (0..5000).collect();
        all.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        for count in [1, 2, 20, 39, 40, 41, 4999, 5000, 9000] {
            assert_eq!(largest(&logits, count), all[..count.min(5000)]);
        }
    }

    #[test]
    fn top_p_over_many_tokens_keeps_as_many_as_it_takes() {
        // 1,000 tokens that are equally likely, of which the first half is kept.
        let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 0.4999, ..Sampling::default() };
        let counts = draws(sampling, &[1.0; 1000], 20_000);
        assert!(counts[..500].iter().all(|&count| count > 0) && counts[500..].iter().all(|&count| count == 0));
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let counts = draws(Sampling { temperature: 1.0, ..Sampling::default() }, &logits, 20_000);
        for (count, expected) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!((*count as f32 / 20_000.0 - expected).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn each_filter_cuts_the_tail() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let with = |change: fn(&mut Sampling)| {
            let mut sampling = Sampling { temperature: 1.0, ..Sampling::default() };
            change(&mut sampling);
            draws(sampling, &logits, 2_000)
        };
        assert_eq!(with(|s| s.top_k = 2)[2], 0);
        assert_eq!(with(|s| s.top_p = 0.6)[2], 0);
        assert_eq!(with(|s| s.min_p = 0.5)[2], 0);
        assert!(with(|s| s.top_p = 0.6)[1] > 0);
        assert_eq!(with(|s| s.top_p = 0.4)[1], 0);
    }

    #[test]
    fn the_penalty_discourages_what_was_said() {
        let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        assert_eq!(sampler.pick(&mut [3.0, 2.0, -1.0], &[0, 0]), 1);
        assert_eq!(sampler.pick(&mut [-0.6, -1.0], &[0]), 1);
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        let sampling = Sampling { temperature: 1.0, seed: 7, ..Sampling::default() };
        let mut a = Sampler::new(sampling);
        let mut b = Sampler::new(sampling);
        for _ in 0..50 {
            let logits = [0.1, 0.2, 0.3, 0.4];
            assert_eq!(a.pick(&mut logits.clone(), &[]), b.pick(&mut logits.clone(), &[]));
        }
    }
}
