//! Callers at the same time share forward passes, and none of them can tell.

mod common;

use common::{EVERY_KERNEL, engine};
use qaio::engine::{CancelToken, Engine, Generated, Interrupt, Request, Sampling, StopReason};
use qaio::{ErrorKind, Precision};
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::time::Duration;

const CALLERS: usize = 8;

/// Prompts of one token to some that are too long to share a pass.
fn prompt(caller: usize) -> Vec<u32> {
    let length = [1, 3, 20, 63, 64, 65, 90, 7][caller];
    (0..length).map(|n| 3 + (n * 7 + caller as u32 * 13) % 200).collect()
}

fn reply(engine: &Engine, caller: usize, interrupt: &Interrupt) -> qaio::Result<Generated> {
    let temperature = [0.0, 1.0][caller % 2];
    let sampling = Sampling { temperature, seed: caller as u64, ..engine.sampling() };
    let prompt = prompt(caller);
    let request = Request { prompt: &prompt, sampling, max_tokens: 24, stop: &[] };
    engine.generate(&mut engine.new_kv(), &request, interrupt, &mut |_| ControlFlow::Continue(()))
}

/// Each of the callers does `work` at the same time.
fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(caller)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn replies_made_together_are_those_made_alone() {
    for (name, precision) in EVERY_KERNEL {
        let engine = engine(name, precision);
        let alone: Vec<_> = (0..CALLERS).map(|caller| reply(&engine, caller, &Interrupt::never()).unwrap()).collect();
        for _ in 0..5 {
            let together = at_once(|caller| reply(&engine, caller, &Interrupt::never()).unwrap());
            for (alone, together) in alone.iter().zip(together) {
                assert_eq!(alone.tokens, together.tokens, "{name} at {precision:?}");
                assert_eq!(alone.stop_reason, together.stop_reason);
            }
        }
    }
}

#[test]
fn logits_made_together_are_those_made_alone_to_the_bit() {
    let engine = engine("qwen2-tiny", Precision::Q8);
    let bits = |caller| {
        let (logits, _) = engine.next_logits(&mut engine.new_kv(), &prompt(caller), &Interrupt::never()).unwrap();
        logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let alone: Vec<_> = (0..CALLERS).map(bits).collect();
    for _ in 0..20 {
        assert_eq!(at_once(bits), alone);
    }
}

#[test]
fn who_gives_up_leaves_the_others_as_they_were() {
    let engine = engine("qwen2-tiny", Precision::F32);
    let alone: Vec<_> = (0..CALLERS).map(|caller| reply(&engine, caller, &Interrupt::never()).unwrap()).collect();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    for _ in 0..5 {
        let together = at_once(|caller| match caller {
            0 => reply(&engine, caller, &Interrupt::new(Some(cancelled.clone()), None)),
            1 => reply(&engine, caller, &Interrupt::new(None, Some(Duration::ZERO))),
            _ => reply(&engine, caller, &Interrupt::never()),
        });
        let kinds: Vec<_> = together.iter().map(|reply| reply.as_ref().err().map(qaio::Error::kind)).collect();
        assert_eq!(kinds[..2], [Some(ErrorKind::Cancelled), Some(ErrorKind::DeadlineExceeded)]);
        for (alone, together) in alone.iter().zip(together).skip(2) {
            assert_eq!(alone.tokens, together.unwrap().tokens);
        }
    }
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let engine = engine("qwen2-tiny", Precision::F32);
    let prompt = prompt(2);
    let request = Request { prompt: &prompt, sampling: engine.sampling(), max_tokens: 24, stop: &[] };
    let (read, stuck) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = true;
            let stop_reading = &mut |_: &str| {
                if std::mem::take(&mut first) {
                    stuck.wait();
                    read.wait();
                }
                ControlFlow::Continue(())
            };
            engine.generate(&mut engine.new_kv(), &request, &Interrupt::never(), stop_reading).unwrap();
        });
        stuck.wait();
        // Ends although the other one brings no step.
        let other = reply(&engine, 3, &Interrupt::new(None, Some(Duration::from_secs(30)))).unwrap();
        assert_ne!(other.stop_reason, StopReason::Deadline);
        read.wait();
    });
}
