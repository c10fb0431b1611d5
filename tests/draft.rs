//! Replies that repeat what was said are guessed ahead, and are the same as without.

mod common;

use common::{EVERY_KERNEL, engine};
use qaio::engine::{Engine, Interrupt, Request, Sampler, Sampling};
use std::ops::ControlFlow;

const TOKENS: usize = 60;

/// Token by token, as the definition has it.
fn plain(engine: &Engine, prompt: &[u32], sampling: Sampling) -> Vec<u32> {
    let (mut kv, mut seen, mut sampler) = (engine.new_kv(), prompt.to_vec(), Sampler::new(sampling));
    while seen.len() < prompt.len() + TOKENS {
        let (mut logits, _) = engine.next_logits(&mut kv, &seen, &Interrupt::never()).unwrap();
        let token = sampler.pick(&mut logits, &seen);
        if engine.is_end(token) {
            break;
        }
        seen.push(token);
    }
    seen.split_off(prompt.len())
}

#[test]
fn a_reply_with_guesses_is_the_reply_without() {
    let mut guessed = 0;
    for (name, precision) in EVERY_KERNEL {
        let engine = engine(name, precision);
        for seed in 0..12 {
            // Random models soon repeat themselves when nothing is left to chance, and are guessed wrong when much is.
            let temperature = [0.0, 0.2, 1.0][seed % 3];
            let sampling = Sampling { temperature, seed: seed as u64, ..Sampling::default() };
            let prompt: Vec<u32> = (0..20 + seed as u32).map(|n| 3 + (n * (7 + seed as u32)) % 11).collect();
            let request = Request { prompt: &prompt, sampling, max_tokens: TOKENS, stop: &[] };
            let mut kv = engine.new_kv();
            let found =
                engine.generate(&mut kv, &request, &Interrupt::never(), &mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(found.tokens, plain(&engine, &prompt, sampling), "{name} at {precision:?}, seed {seed}");
            let seen = [&prompt[..], &found.tokens].concat();
            assert!(seen.starts_with(kv.tokens()), "guesses that were wrong do not stay");
            guessed += found.guessed;
        }
    }
    assert!(guessed > 100, "only {guessed} tokens were guessed");
}
