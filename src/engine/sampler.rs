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
        let mut candidates: Vec<(u32, f32)> = (0..).zip(logits.iter().map(|logit| logit / temperature)).collect();
        let by_logit = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, by_logit);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(by_logit);
        let mut chances: Vec<f32> = candidates.iter().map(|&(_, logit)| logit).collect();
        softmax(&mut chances);

        let mut kept = 0;
        let mut mass = 0.0;
        while kept < chances.len() && (kept == 0 || (mass < top_p && chances[kept] >= min_p * chances[0])) {
            mass += chances[kept];
            kept += 1;
        }
        let mut point = self.random.unit() * mass;
        for (&(id, _), chance) in candidates.iter().zip(&chances[..kept]) {
            point -= chance;
            if point < 0.0 {
                return id;
            }
        }
        candidates[kept - 1].0
    }
}

/// The first of the largest.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
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
