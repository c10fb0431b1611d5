//! Puts the small forward passes of concurrent callers together, so that the weights are read once for all of them.
//!
//! This is continuous batching (Orca, Yu et al. 2022) without a thread of its own: of the callers that wait, one leads. It
//! runs all steps that have gathered, hands the results out, and leaves the lead to whoever waits next. A caller on its own
//! pays for one uncontended lock. Results do not depend on who else is in a pass.

use super::{Interrupt, Kv};
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tokens of a step that shares a pass; a longer one keeps the multipliers busy by itself.
const MOST: usize = 64;
/// Tokens of a pass.
const PASS: usize = 256;
/// The part of the time of the last pass that a leader waits for decoding callers who are still picking their token.
const PATIENCE: u32 = 4;

/// What a caller wants computed.
pub(super) struct Step {
    /// Comes back in the [`Outcome`].
    pub(super) kv: Kv,
    pub(super) tokens: Vec<u32>,
    /// After how many of the last tokens the logits are wanted.
    pub(super) logits: usize,
    pub(super) interrupt: Interrupt,
}

/// What came of a [`Step`].
pub(super) struct Outcome {
    /// Lost in a pass that panicked.
    pub(super) kv: Option<Kv>,
    pub(super) result: Result<Computed>,
}

/// The end of a pass for one caller.
pub(super) struct Computed {
    /// State of the last token, `[hidden]`.
    pub(super) hidden: Vec<f32>,
    /// `[wanted, vocab]`.
    pub(super) logits: Vec<f32>,
}

/// Runs steps as one pass that the interrupt may end; after an error each KV is as before.
pub(super) type Compute<'a> = dyn Fn(&mut [Step], &Interrupt) -> Result<Vec<Computed>> + 'a;

/// Where steps meet.
#[derive(Default)]
pub(super) struct Batcher {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: Vec<(u64, Step)>,
    done: HashMap<u64, Outcome>,
    led: bool,
    /// Replies that are being decoded, each of which will bring a step soon.
    decoding: usize,
    last_pass: Duration,
}

/// A reply that is being decoded.
pub(super) struct Decoding<'a>(&'a Batcher);

impl Batcher {
    /// Announces a reply, whose steps are worth waiting for until the guard is dropped.
    pub(super) fn decoding(&self) -> Decoding<'_> {
        self.lock().decoding += 1;
        Decoding(self)
    }

    /// Runs `step`, together with what else is waiting if it is short. Must not be called on one of the threads that compute.
    pub(super) fn run(&self, step: Step, compute: &Compute) -> Outcome {
        if step.tokens.len() > MOST {
            return alone(step, compute);
        }
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push((ticket, step));
        if state.led {
            self.changed.notify_all();
        }
        loop {
            if let Some(outcome) = state.done.remove(&ticket) {
                return outcome;
            }
            if state.led {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.led = true;
            state = self.gather(state);
            let pass = state.take_pass();
            drop(state);
            let tickets: Vec<u64> = pass.iter().map(|(ticket, _)| *ticket).collect();
            let started = Instant::now();
            let outcomes = catch_unwind(AssertUnwindSafe(|| run_pass(pass, compute)));
            state = self.lock();
            state.last_pass = started.elapsed();
            state.led = false;
            self.changed.notify_all();
            match outcomes {
                Ok(outcomes) => state.done.extend(outcomes),
                Err(panic) => {
                    let others = tickets.into_iter().filter(|&other| other != ticket);
                    state.done.extend(others.map(|other| (other, Outcome::lost())));
                    drop(state);
                    resume_unwind(panic);
                }
            }
        }
    }

    /// Waits until each reply in the making has brought its step, but not for long: one of them may be slow to send its text.
    fn gather<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let until = Instant::now() + state.last_pass / PATIENCE;
        while state.waiting.len() < state.decoding {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Decoding<'_> {
    /// Whether no other reply is being decoded.
    pub(super) fn is_alone(&self) -> bool {
        self.0.lock().decoding == 1
    }
}

impl Drop for Decoding<'_> {
    fn drop(&mut self) {
        self.0.lock().decoding -= 1;
    }
}

impl State {
    /// The steps that have waited longest, as many as fit into a pass.
    fn take_pass(&mut self) -> Vec<(u64, Step)> {
        let mut tokens = 0;
        let fitting = self.waiting.iter().take_while(|(_, step)| {
            tokens += step.tokens.len();
            tokens <= PASS
        });
        let count = fitting.count().max(1).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }
}

/// Whose interrupt has struck leaves the pass, and the others run again; when something else fails, each runs alone.
fn run_pass(pass: Vec<(u64, Step)>, compute: &Compute) -> Vec<(u64, Outcome)> {
    let mut outcomes = Vec::with_capacity(pass.len());
    let (mut tickets, mut steps) = (Vec::new(), Vec::new());
    for (ticket, step) in pass {
        match step.interrupt.check() {
            Ok(()) => {
                tickets.push(ticket);
                steps.push(step);
            }
            Err(error) => outcomes.push((ticket, Outcome { kv: Some(step.kv), result: Err(error) })),
        }
    }
    if steps.is_empty() {
        return outcomes;
    }
    if let [_] = steps[..] {
        let only = tickets.into_iter().zip(steps).map(|(ticket, step)| (ticket, alone(step, compute)));
        outcomes.extend(only);
        return outcomes;
    }
    let interrupt = Interrupt::any(steps.iter().map(|step| &step.interrupt));
    let computed = compute(&mut steps, &interrupt);
    let numbered = tickets.into_iter().zip(steps);
    match computed {
        Ok(computed) => outcomes.extend(
            numbered
                .zip(computed)
                .map(|((ticket, step), computed)| (ticket, Outcome { kv: Some(step.kv), result: Ok(computed) })),
        ),
        Err(error) if error.is_interrupt() => outcomes.extend(run_pass(numbered.collect(), compute)),
        Err(_) => outcomes.extend(numbered.flat_map(|step| run_pass(vec![step], compute))),
    }
    outcomes
}

/// A pass of one step.
fn alone(mut step: Step, compute: &Compute) -> Outcome {
    let interrupt = step.interrupt.clone();
    let computed = compute(std::slice::from_mut(&mut step), &interrupt);
    let result = computed.map(|mut computed| computed.pop().expect("one for each step"));
    Outcome { kv: Some(step.kv), result }
}

impl Outcome {
    fn lost() -> Self {
        let message = "a computation that this call had a part in failed in another call; call again";
        Self { kv: None, result: Err(Error::new(ErrorKind::Internal, message)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CancelToken;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn step(token: u32, cancel: Option<CancelToken>) -> Step {
        Step { kv: Kv::empty(), tokens: vec![token], logits: 0, interrupt: Interrupt::new(cancel, None) }
    }

    /// Gives each step its token back.
    fn echo(steps: &mut [Step], interrupt: &Interrupt) -> Result<Vec<Computed>> {
        interrupt.check()?;
        let computed = |step: &Step| Computed { hidden: vec![step.tokens[0] as f32], logits: Vec::new() };
        Ok(steps.iter().map(computed).collect())
    }

    type ForAll<'a> = dyn Fn(&mut [Step], &Interrupt) -> Result<Vec<Computed>> + Sync + 'a;

    /// Holds the first pass back until `others` more steps wait, then runs all of them together.
    fn together(batcher: &Batcher, others: u32, compute: &ForAll) -> Vec<Result<f32>> {
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                batcher.run(step(1000, None), &|steps, interrupt| {
                    begun.wait();
                    while batcher.lock().waiting.len() < others as usize {
                        std::thread::yield_now();
                    }
                    echo(steps, interrupt)
                })
            });
            begun.wait();
            let waiting: Vec<_> = (0..others)
                .map(|token| {
                    scope.spawn(move || catch_unwind(AssertUnwindSafe(|| batcher.run(step(token, None), compute))))
                })
                .collect();
            assert!(first.join().unwrap().result.is_ok());
            let outcomes = waiting.into_iter().map(|caller| caller.join().unwrap());
            outcomes
                .map(|outcome| match outcome {
                    Ok(outcome) => outcome.result.map(|computed| computed.hidden[0]),
                    Err(_) => Ok(f32::NAN),
                })
                .collect()
        })
    }

    #[test]
    fn steps_that_wait_share_a_pass() {
        let passes = AtomicUsize::new(0);
        let batcher = Batcher::default();
        let found = together(&batcher, 5, &|steps, interrupt| {
            passes.fetch_add(1, Ordering::Relaxed);
            assert_eq!(steps.len(), 5);
            echo(steps, interrupt)
        });
        assert_eq!(found.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(passes.into_inner(), 1);
    }

    #[test]
    fn a_failure_of_one_is_not_that_of_the_others() {
        let batcher = Batcher::default();
        let found = together(&batcher, 4, &|steps, interrupt| {
            if steps.iter().any(|step| step.tokens[0] == 2) {
                return Err(Error::new(ErrorKind::OutOfMemory, "no room"));
            }
            echo(steps, interrupt)
        });
        let kinds: Vec<_> = found.into_iter().map(|found| found.map_err(|error| error.kind())).collect();
        assert_eq!(kinds, [Ok(0.0), Ok(1.0), Err(ErrorKind::OutOfMemory), Ok(3.0)]);
    }

    #[test]
    fn a_panic_reaches_one_caller_and_frees_the_others() {
        let batcher = Batcher::default();
        let found = together(&batcher, 3, &|_, _| panic!("expected by the test"));
        assert_eq!(found.iter().filter(|found| matches!(found, Ok(panicked) if panicked.is_nan())).count(), 1);
        let lost = found.iter().filter(|found| matches!(found, Err(error) if error.kind() == ErrorKind::Internal));
        assert_eq!(lost.count(), 2);
        assert!(batcher.run(step(7, None), &echo).result.is_ok(), "it goes on after that");
    }

    #[test]
    fn who_is_cancelled_leaves_the_pass() {
        let cancelled = CancelToken::new();
        let pass = vec![(0, step(0, Some(cancelled.clone()))), (1, step(1, None))];
        let outcomes = run_pass(pass, &|steps, interrupt| {
            cancelled.cancel();
            echo(steps, interrupt)
        });
        let kinds: Vec<_> = outcomes
            .into_iter()
            .map(|(ticket, outcome)| (ticket, outcome.result.err().map(|error| error.kind())))
            .collect();
        assert_eq!(kinds, [(0, Some(ErrorKind::Cancelled)), (1, None)]);
    }
}
