//! Who computes now, who waits, and who is told to come back later.
//!
//! Requests wait in one line per client (a session, or an address), and the lines are served in turn, so that a client with many
//! requests does not keep a client with one waiting.

use super::problem::Problem;
use axum::http::StatusCode;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Admits `running` requests at a time and lets `waiting` more wait.
pub struct Queue {
    state: Mutex<State>,
    running: usize,
    waiting: usize,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: usize,
    /// In the order in which they are served.
    lines: VecDeque<Line>,
    /// How long a request computes, smoothed.
    usual: Duration,
}

/// The waiting requests of one client; never empty.
struct Line {
    client: String,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    admitted: oneshot::Sender<Permit>,
    ahead: watch::Sender<usize>,
}

/// The right to compute, until it is dropped.
pub struct Permit {
    /// None once it has been found that nobody wants it.
    queue: Option<Arc<Queue>>,
    since: Instant,
}

/// A place in the queue.
pub enum Place {
    Admitted(Permit),
    Waiting(Wait),
}

/// A request that waits; dropping it gives the place up.
pub struct Wait {
    admitted: oneshot::Receiver<Permit>,
    /// How many are served before this one.
    pub ahead: watch::Receiver<usize>,
}

impl Wait {
    /// Until it is this request's turn.
    pub async fn admitted(&mut self) -> Result<Permit, Problem> {
        (&mut self.admitted).await.map_err(|_| Problem::internal())
    }
}

impl Queue {
    pub fn new(running: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), running, waiting })
    }

    /// A place for a request of `client`, or 429.
    pub fn enter(self: &Arc<Self>, client: &str) -> Result<Place, Problem> {
        let mut state = self.lock();
        if state.running < self.running {
            state.running += 1;
            return Ok(Place::Admitted(self.permit()));
        }
        state.forget_gone();
        if state.waiting >= self.waiting {
            let detail =
                format!("{} requests compute and {} wait already; try again later", state.running, state.waiting);
            let wait = state.usual * (state.waiting as u32 + 1) / self.running as u32;
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "QUEUE_FULL", detail).retry_after(wait));
        }
        let (admitted, on_admitted) = oneshot::channel();
        let (ahead, on_ahead) = watch::channel(0);
        let waiter = Waiter { admitted, ahead };
        match state.lines.iter_mut().find(|line| line.client == client) {
            Some(line) => line.waiters.push_back(waiter),
            None => state.lines.push_back(Line { client: client.to_owned(), waiters: VecDeque::from([waiter]) }),
        }
        state.waiting += 1;
        state.tell();
        Ok(Place::Waiting(Wait { admitted: on_admitted, ahead: on_ahead }))
    }

    /// Waits for a place and the turn.
    pub async fn admitted(self: &Arc<Self>, client: &str) -> Result<Permit, Problem> {
        match self.enter(client)? {
            Place::Admitted(permit) => Ok(permit),
            Place::Waiting(mut wait) => wait.admitted().await,
        }
    }

    /// How many compute and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let mut state = self.lock();
        state.forget_gone();
        (state.running, state.waiting)
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit { queue: Some(self.clone()), since: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        let mut state = queue.lock();
        state.usual = (state.usual * 7 + self.since.elapsed()) / 8;
        while let Some(waiter) = state.next() {
            match waiter.admitted.send(queue.permit()) {
                Ok(()) => {
                    state.tell();
                    return;
                }
                Err(mut unwanted) => unwanted.queue = None,
            }
        }
        state.running -= 1;
    }
}

impl State {
    /// The first of the first line, which then becomes the last.
    fn next(&mut self) -> Option<Waiter> {
        let mut line = self.lines.pop_front()?;
        let waiter = line.waiters.pop_front()?;
        self.waiting -= 1;
        if !line.waiters.is_empty() {
            self.lines.push_back(line);
        }
        Some(waiter)
    }

    /// Drops the places of clients that went away.
    fn forget_gone(&mut self) {
        for line in &mut self.lines {
            line.waiters.retain(|waiter| !waiter.admitted.is_closed());
        }
        self.lines.retain(|line| !line.waiters.is_empty());
        self.waiting = self.lines.iter().map(|line| line.waiters.len()).sum();
    }

    /// Tells each waiter how many are served before it: those of earlier rounds, and in its own round the lines before its own.
    fn tell(&self) {
        for (place, line) in self.lines.iter().enumerate() {
            for (round, waiter) in line.waiters.iter().enumerate() {
                let before = |(other, rest): (usize, &Line)| rest.waiters.len().min(round + usize::from(other < place));
                let ahead = self.lines.iter().enumerate().map(before).sum();
                waiter.ahead.send_if_modified(|told| std::mem::replace(told, ahead) != ahead);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(place: Place) -> Wait {
        match place {
            Place::Waiting(wait) => wait,
            Place::Admitted(_) => panic!("admitted"),
        }
    }

    fn is_admitted(wait: &mut Wait) -> Option<Permit> {
        wait.admitted.try_recv().ok()
    }

    #[test]
    fn lines_are_served_in_turn() {
        let queue = Queue::new(1, 9);
        let first = queue.enter("a").ok().unwrap();
        let mut many: Vec<_> = (0..3).map(|_| waiting(queue.enter("a").ok().unwrap())).collect();
        let mut one = waiting(queue.enter("b").ok().unwrap());
        assert_eq!(
            (*many[0].ahead.borrow(), *one.ahead.borrow(), *many[1].ahead.borrow(), *many[2].ahead.borrow()),
            (0, 1, 2, 3)
        );
        drop(first);
        let permit = is_admitted(&mut many[0]).unwrap();
        assert!(is_admitted(&mut one).is_none());
        assert_eq!((*one.ahead.borrow(), *many[1].ahead.borrow()), (0, 1));
        drop(permit);
        let permit = is_admitted(&mut one).unwrap();
        assert!(is_admitted(&mut many[1]).is_none());
        drop(permit);
        assert!(is_admitted(&mut many[1]).is_some());
    }

    #[test]
    fn one_too_many_is_told_when_to_come_back() {
        let queue = Queue::new(1, 1);
        let _running = queue.enter("a").ok().unwrap();
        let wait = waiting(queue.enter("b").ok().unwrap());
        let refused = queue.enter("c").err().unwrap();
        assert_eq!((refused.status(), refused.code()), (StatusCode::TOO_MANY_REQUESTS, "QUEUE_FULL"));
        drop(wait);
        assert!(queue.enter("c").is_ok(), "the place of a client that went away is free");
    }

    #[test]
    fn the_turn_of_a_client_that_went_away_goes_on() {
        let queue = Queue::new(1, 9);
        let running = queue.enter("a").ok().unwrap();
        let gone = waiting(queue.enter("b").ok().unwrap());
        let mut next = waiting(queue.enter("c").ok().unwrap());
        drop(gone);
        drop(running);
        let permit = is_admitted(&mut next).unwrap();
        drop(permit);
        assert_eq!(queue.load(), (0, 0));
        assert!(matches!(queue.enter("d"), Ok(Place::Admitted(_))));
    }
}
