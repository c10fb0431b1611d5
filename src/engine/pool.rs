//! The threads that share the work of a forward pass.
//!
//! A pass hands out some 250 jobs of 20 to 500 microseconds each, so what counts is the time to
//! start a job and to see its end. A job is published by one atomic step; the other threads look
//! out for it for a short while before they go to sleep, and only a sleeping thread costs its
//! caller a system call.
//!
//! How a job stays safe: it lies on the stack of its caller, and `Shared::state` says in one
//! number whether a job is open and how many workers are inside it. A worker enters by a
//! compare-and-swap that succeeds only while the job is open; the caller closes the job and then
//! waits until nobody is inside. A worker that wakes too late finds the job closed and never
//! looks at it. One that wakes later still, in the next job, enters that one and reads that one's
//! address, so a number that comes round again does no harm.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use sync::{
    Arc, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Condvar, IN_TASK, JoinHandle, Mutex, MutexGuard, Ordering,
    fence, spawn,
};

/// How long a thread looks out for what it waits for before it sleeps: longer than most pauses
/// between two jobs of a pass, and short beside a scheduler's slice of some milliseconds.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// In `Shared::state`, what opening a job adds, and closing it adds again: above the count of the
/// workers inside, the number is odd while a job is open.
const STEP: u64 = 1 << 32;

/// Threads of our own that help a caller with a job of many tasks.
///
/// Any thread may call `run`. Callers at the same time wait their turn, first come, first served:
/// a job takes less than a millisecond with all threads, and far longer with one, which would
/// meanwhile take a core from the others. A task must not wait for another thread that calls
/// `run`, which may be waiting for the task's own job to end.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// `threads` in all, counting the caller of `run`: one fewer are started, named `qaio-1`,
    /// `qaio-2` and so on.
    pub(crate) fn new(threads: usize) -> std::io::Result<Pool> {
        // With more threads than cores, one that looks out keeps another from its work.
        let enough = std::thread::available_parallelism().is_ok_and(|cores| threads <= cores.get());
        let look_out = if enough { LOOK_OUT } else { Duration::ZERO };
        // From here on, `drop` ends the threads there are, also when one cannot be started.
        let mut pool = Pool { shared: Arc::new(Shared::new(look_out)), workers: Vec::new() };
        for number in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let worker = spawn(format!("qaio-{number}"), move || shared.serve())?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// The number of threads, with the caller of `run`.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once with each number below `tasks`, on the caller's thread and the others;
    /// returns when all are done, and all they wrote can be read.
    ///
    /// Within a task it does the whole job on the thread that it is called on.
    ///
    /// # Panics
    /// If a task panics, with what the first one panicked with, once no thread is in `work` any
    /// more. Tasks that were not begun may be left out then.
    pub(crate) fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() || IN_TASK.with(Cell::get) {
            (0..tasks).for_each(work);
            return;
        }
        let job = Job { work, tasks, next: Line(AtomicUsize::new(0)), panic: Mutex::new(None) };
        self.shared.run(&job);
        if let Some(panic) = locked(&job.panic).take() {
            resume_unwind(panic);
        }
    }
}

impl Pool {
    /// Calls `work` with the number and the contents of each chunk of `size` elements, the last of which may be shorter.
    pub(crate) fn for_each_chunk<T: Send>(&self, data: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let chunks = data.chunks_mut(size).map(|chunk| Mutex::new(Some(chunk))).collect::<Vec<_>>();
        self.run(chunks.len(), &|index| {
            if let Some(chunk) = locked(&chunks[index]).take() {
                work(index, chunk);
            }
        });
    }

    /// `map` of each item, in order.
    pub(crate) fn map<T: Send, R: Send>(&self, items: Vec<T>, map: impl Fn(T) -> R + Sync) -> Vec<R> {
        let mut results: Vec<(Option<T>, Option<R>)> = items.into_iter().map(|item| (Some(item), None)).collect();
        self.for_each_chunk(&mut results, 1, |_, slot| {
            let (item, result) = &mut slot[0];
            *result = item.take().map(&map);
        });
        results.into_iter().filter_map(|(_, result)| result).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.opened.ring(usize::MAX);
        for worker in self.workers.drain(..) {
            // A worker cannot panic: its tasks' panics go to their caller.
            let _ = worker.join();
        }
    }
}

/// One call of `run`, on the stack of its caller.
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    tasks: usize,
    /// The first task that nobody has taken.
    next: Line<AtomicUsize>,
    /// What the first task that panicked did so with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Job<'_> {
    /// Does tasks until none is left or one panics.
    fn take_tasks(&self) {
        let before = IN_TASK.with(|flag| flag.replace(true));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.0.fetch_add(1, Ordering::Relaxed);
                if task >= self.tasks {
                    break;
                }
                (self.work)(task);
            }
        }));
        IN_TASK.with(|flag| flag.set(before));
        if let Err(panic) = outcome {
            let mut first = locked(&self.panic);
            if first.is_none() {
                *first = Some(panic);
            } else {
                // Leaked, since dropping it might panic in turn, and then end a worker.
                std::mem::forget(panic);
            }
        }
    }
}

/// What the callers and the workers share.
#[derive(Debug)]
struct Shared {
    /// The number of workers inside the job, and above it how often a job was opened or closed.
    state: Line<AtomicU64>,
    /// The job; to be followed only by a worker inside it.
    job: AtomicPtr<Job<'static>>,
    /// Whether the workers are to end.
    stop: AtomicBool,
    /// Rung when a job opens, for the workers.
    opened: Bell,
    /// Rung when the last worker has left a closed job, for its caller.
    left: Bell,
    /// The number that the next caller draws.
    tickets: AtomicUsize,
    /// The number whose turn it is.
    serving: AtomicUsize,
    /// Rung when the turn passes on, for the other callers.
    passed: Bell,
}

impl Shared {
    fn new(look_out: Duration) -> Shared {
        Shared {
            state: Line(AtomicU64::new(0)),
            job: AtomicPtr::new(std::ptr::null_mut()),
            stop: AtomicBool::new(false),
            opened: Bell::new(look_out),
            left: Bell::new(look_out),
            tickets: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            // While others work, all cores are taken already.
            passed: Bell::new(Duration::ZERO),
        }
    }

    /// Does `job` together with the workers, when its turn has come. Does not panic, so nothing
    /// leaves this function while a worker may be inside the job.
    fn run(&self, job: &Job<'_>) {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.passed.wait(|| self.serving.load(Ordering::Acquire) == ticket);

        let address = (&raw const *job).cast::<Job<'static>>().cast_mut();
        self.job.store(address, Ordering::Relaxed);
        self.state.0.fetch_add(STEP, Ordering::Release);
        self.opened.ring(job.tasks - 1);
        job.take_tasks();
        self.state.0.fetch_add(STEP, Ordering::Relaxed);
        self.left.wait(|| inside(self.state.0.load(Ordering::Acquire)) == 0);

        self.serving.store(ticket.wrapping_add(1), Ordering::Release);
        self.passed.ring(usize::MAX);
    }

    /// What a worker does until the pool ends.
    fn serve(&self) {
        let mut last = 0;
        loop {
            let mut state = 0;
            self.opened.wait(|| {
                state = self.state.0.load(Ordering::Acquire);
                (is_open(state) && state / STEP != last) || self.stop.load(Ordering::Acquire)
            });
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            // In vain if another worker came between, or the job was closed: look again.
            let entered = self.state.0.compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed);
            if entered.is_err() {
                continue;
            }
            last = state / STEP;
            let address = self.job.load(Ordering::Relaxed);
            // SAFETY: the job was open when this worker entered, so its address was stored before
            // that, and its caller keeps it until this worker has left, which is after the call.
            #[allow(unsafe_code)]
            let job = unsafe { &*address };
            job.take_tasks();
            let state = self.state.0.fetch_sub(1, Ordering::Release) - 1;
            if inside(state) == 0 && !is_open(state) {
                self.left.ring(1);
            }
        }
    }
}

/// The number of workers inside the job.
fn inside(state: u64) -> u64 {
    state % STEP
}

/// Whether workers may enter the job.
fn is_open(state: u64) -> bool {
    state / STEP % 2 == 1
}

/// Where threads wait for something that others bring about and then ring for.
#[derive(Debug)]
struct Bell {
    look_out: Duration,
    /// How many threads sleep, or are about to.
    asleep: Line<AtomicUsize>,
    door: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    fn new(look_out: Duration) -> Bell {
        Bell { look_out, asleep: Line(AtomicUsize::new(0)), door: Mutex::new(()), rung: Condvar::new() }
    }

    /// Returns when `ready` says so: looks out for a while, then sleeps between two rings.
    fn wait(&self, mut ready: impl FnMut() -> bool) {
        if ready() || sync::look_out(self.look_out, &mut ready) {
            return;
        }
        let mut door = locked(&self.door);
        self.asleep.0.fetch_add(1, Ordering::Relaxed);
        // With the fence in `ring`: either `ready` sees what was brought about before the ring, or
        // `ring` sees that this thread is about to sleep.
        fence(Ordering::SeqCst);
        while !ready() {
            door = self.rung.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes up to `most` of those that sleep; call it after what they wait for was stored.
    fn ring(&self, most: usize) {
        fence(Ordering::SeqCst);
        let asleep = self.asleep.0.load(Ordering::Relaxed);
        if asleep == 0 {
            return;
        }
        // One that is about to sleep holds the lock until it does.
        drop(locked(&self.door));
        if most >= asleep {
            self.rung.notify_all();
        } else {
            (0..most).for_each(|_| self.rung.notify_one());
        }
    }
}

/// Nothing panics while it holds one of our locks, so none is ever poisoned.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value on cache lines of its own (processors fetch them in pairs of 64 bytes), so that those
/// who change it do not slow down those who read its neighbours.
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

/// The building blocks; loom has its own, to try out every order of their steps.
#[cfg(not(loom))]
mod sync {
    use std::cell::Cell;
    pub(super) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    thread_local! {
        /// Whether this thread is in a task of some pool, where a further `run` gets no help.
        pub(super) static IN_TASK: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name).spawn(body)
    }

    /// After so much looking out a thread lets others have its core after every look. On a machine
    /// with too few free cores, one of them is likely the very thread that has the work: a worker
    /// often wakes on the core of the caller that woke it.
    const KEEP_CORE: Duration = Duration::from_micros(10);

    /// Whether `ready` says so within the `time`.
    pub(super) fn look_out(time: Duration, mut ready: impl FnMut() -> bool) -> bool {
        if time.is_zero() {
            return false;
        }
        let start = Instant::now();
        loop {
            // Reading the clock each time would take longer than looking.
            for _ in 0..32 {
                if ready() {
                    return true;
                }
                std::hint::spin_loop();
            }
            let passed = start.elapsed();
            if passed >= time {
                return false;
            }
            if passed >= KEEP_CORE {
                std::thread::yield_now();
            }
        }
    }
}

#[cfg(loom)]
mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub(super) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use loom::thread::JoinHandle;
    use std::cell::Cell;
    use std::time::Duration;

    loom::thread_local! {
        /// Whether this thread is in a task of some pool, where a further `run` gets no help.
        pub(super) static IN_TASK: Cell<bool> = Cell::new(false);
    }

    pub(super) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        loom::thread::Builder::new().name(name).spawn(body)
    }

    /// Looking again shows loom nothing that sleeping does not.
    pub(super) fn look_out(_: Duration, _: impl FnMut() -> bool) -> bool {
        false
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Pool;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    /// What a task writes, where loom sees each access.
    struct Cell(UnsafeCell<usize>);

    // SAFETY: each task has a cell of its own, and the caller looks after `run` alone; loom says
    // if not.
    #[allow(unsafe_code)]
    unsafe impl Sync for Cell {}

    /// Two tasks that each add `number`, after which the caller must see it.
    fn run(pool: &Pool, number: usize) {
        let cells = [0, 0].map(|zero| Cell(UnsafeCell::new(zero)));
        pool.run(cells.len(), &|task| {
            cells[task].0.with_mut(|cell| {
                // SAFETY: see above.
                #[allow(unsafe_code)]
                unsafe {
                    *cell += number;
                }
            });
        });
        for cell in cells {
            cell.0.with_mut(|_| ());
            assert_eq!(cell.0.into_inner(), number);
        }
    }

    fn two_runs(pool: &Pool) {
        run(pool, 1);
        run(pool, 2);
    }

    /// Goes through all orders of the steps with at most so many `preemptions`.
    fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(body);
    }

    #[test]
    fn one_worker() {
        check(3, || two_runs(&Pool::new(2).unwrap()));
    }

    #[test]
    fn two_workers() {
        check(2, || two_runs(&Pool::new(3).unwrap()));
    }

    #[test]
    fn two_callers() {
        check(2, || {
            let pool = Arc::new(Pool::new(2).unwrap());
            let other = Arc::clone(&pool);
            let caller = loom::thread::spawn(move || run(&other, 1));
            run(&pool, 2);
            caller.join().unwrap();
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{IN_TASK, LOOK_OUT, Pool};
    use std::cell::UnsafeCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    /// The sum of the numbers below `tasks`, each added by its task.
    fn sum(pool: &Pool, tasks: usize) -> usize {
        let sum = AtomicUsize::new(0);
        pool.run(tasks, &|task| {
            sum.fetch_add(task, Ordering::Relaxed);
        });
        sum.into_inner()
    }

    fn expected(tasks: usize) -> usize {
        tasks * tasks.saturating_sub(1) / 2
    }

    /// What the panic said that `body` ended with.
    fn panic_of(body: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("no panic");
        *panic.downcast::<String>().expect("a formatted message")
    }

    #[test]
    fn each_task_is_done_once() {
        for threads in [0, 1, 2, 3, 4, 7, 16] {
            let pool = Pool::new(threads).unwrap();
            assert_eq!(pool.threads(), threads.max(1));
            for tasks in [0, 1, 2, 3, 5, 16, 17, 100, 1000] {
                let times: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|task| {
                    times[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(times.into_iter().all(|times| times.into_inner() == 1));
                assert_eq!(sum(&pool, tasks), expected(tasks));
            }
        }
    }

    #[test]
    fn many_small_runs() {
        for threads in [2, 3, 16] {
            let pool = Pool::new(threads).unwrap();
            for run in 0..10_000 {
                let tasks = 2 + run % 5;
                assert_eq!(sum(&pool, tasks), expected(tasks));
            }
        }
    }

    /// Pauses around the time after which the workers go to sleep.
    #[test]
    fn runs_meet_workers_falling_asleep() {
        let pool = Pool::new(2).unwrap();
        for run in 0..500 {
            std::thread::sleep(LOOK_OUT * (run % 20) / 10);
            assert_eq!(sum(&pool, 4), expected(4));
        }
    }

    #[test]
    fn callers_take_turns() {
        for threads in [2, 4] {
            let pool = Pool::new(threads).unwrap();
            std::thread::scope(|scope| {
                for caller in 0..8 {
                    let pool = &pool;
                    scope.spawn(move || {
                        for run in 0..500 {
                            let tasks = (caller + run) % 9;
                            assert_eq!(sum(pool, tasks), expected(tasks));
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn the_other_threads_help() {
        let pool = Pool::new(2).unwrap();
        let met = AtomicUsize::new(0);
        pool.run(2, &|_| {
            met.fetch_add(1, Ordering::Relaxed);
            // Ends only when the other task runs on the other thread.
            while met.load(Ordering::Relaxed) < 2 {
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn a_run_within_a_task_stays_on_its_thread() {
        let (pool, other) = (Pool::new(3).unwrap(), Pool::new(2).unwrap());
        let total = AtomicUsize::new(0);
        for _ in 0..200 {
            pool.run(5, &|_| {
                for inner in [&pool, &other] {
                    let here = std::thread::current().id();
                    inner.run(10, &|task| {
                        assert_eq!(std::thread::current().id(), here);
                        total.fetch_add(task, Ordering::Relaxed);
                    });
                }
            });
        }
        assert_eq!(total.into_inner(), 200 * 5 * 2 * expected(10));
        assert!(!IN_TASK.get());
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for threads in [1, 2, 4, 16] {
            let pool = Pool::new(threads).unwrap();
            for bad in 0..20 {
                let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let said = panic_of(|| {
                    pool.run(20, &|task| {
                        begun.fetch_add(1, Ordering::Relaxed);
                        if task == bad {
                            // Without the message that a panic prints.
                            std::panic::resume_unwind(Box::new(format!("task {task}")));
                        }
                        std::thread::sleep(Duration::from_micros(20));
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                });
                assert_eq!(said, format!("task {bad}"));
                // The good ones that were begun have ended, too.
                assert_eq!(begun.into_inner(), ended.into_inner() + 1);
                assert_eq!(sum(&pool, 50), expected(50));
            }
        }
    }

    #[test]
    fn every_task_may_panic() {
        /// Something to panic with that panics when dropped.
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let pool = Pool::new(4).unwrap();
        for _ in 0..20 {
            let panic = catch_unwind(AssertUnwindSafe(|| {
                pool.run(100, &|_| std::panic::resume_unwind(Box::new(Bad)));
            }));
            std::mem::forget(panic.expect_err("no panic"));
            assert_eq!(sum(&pool, 50), expected(50));
        }
    }

    #[test]
    fn a_panic_leaves_a_task_within_a_task() {
        let pool = Pool::new(2).unwrap();
        let said = panic_of(|| {
            pool.run(2, &|outer| {
                pool.run(2, &|inner| {
                    if outer + inner == 2 {
                        std::panic::resume_unwind(Box::new("deep".to_owned()));
                    }
                });
            });
        });
        assert_eq!(said, "deep");
        assert_eq!(sum(&pool, 50), expected(50));
    }

    #[test]
    fn the_threads_end_with_the_pool() {
        struct Ended<'a>(&'a AtomicUsize);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        std::thread_local! {
            static GUARD: Ended<'static> = const { Ended(&ENDED) };
        }
        for round in 1..=100 {
            let pool = Pool::new(2).unwrap();
            let both = AtomicUsize::new(0);
            pool.run(2, &|_| {
                both.fetch_add(1, Ordering::Relaxed);
                while both.load(Ordering::Relaxed) < 2 {
                    std::thread::yield_now();
                }
                if std::thread::current().name() == Some("qaio-1") {
                    GUARD.with(|_| ());
                }
            });
            if round % 2 == 0 {
                std::thread::sleep(LOOK_OUT * 10);
            }
            drop(pool);
            assert_eq!(ENDED.load(Ordering::Relaxed), round);
        }
        // Never used: still starting, or asleep.
        drop(Pool::new(16).unwrap());
        let pool = Pool::new(16).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        drop(pool);
    }

    /// Memory that the tasks write without any ordering of their own.
    struct Plain(Vec<UnsafeCell<usize>>);

    // SAFETY: each task writes an element of its own, and the caller reads between two runs.
    #[allow(unsafe_code)]
    unsafe impl Sync for Plain {}

    #[test]
    fn what_tasks_wrote_is_seen_after_the_run() {
        let pool = Pool::new(4).unwrap();
        let mut plain = Plain((0..64).map(UnsafeCell::new).collect());
        for run in 1..=2000 {
            let cells = &plain;
            pool.run(64, &|task| {
                // Whole, or the closure would take the cells themselves along.
                let cells = &cells;
                // SAFETY: see above.
                #[allow(unsafe_code)]
                unsafe {
                    *cells.0[task].get() += 1;
                }
            });
            for (task, cell) in plain.0.iter_mut().enumerate() {
                assert_eq!(*cell.get_mut(), task + run);
            }
        }
    }

    #[test]
    fn callers_with_a_small_stack() {
        let pool = Pool::new(3).unwrap();
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, || {
                    for _ in 0..100 {
                        assert_eq!(sum(&pool, 100), expected(100));
                    }
                })
                .unwrap();
        });
    }

    /// A worker still asleep when the job is done does not hold its caller up.
    #[test]
    fn a_late_worker_is_not_waited_for() {
        let pool = Pool::new(16).unwrap();
        let busy = AtomicBool::new(true);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while busy.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            for _ in 0..100 {
                std::thread::sleep(Duration::from_micros(200));
                assert_eq!(sum(&pool, 3), expected(3));
            }
            busy.store(false, Ordering::Relaxed);
        });
    }
}
