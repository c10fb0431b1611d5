//! `qaio serve`: the web chat and the API, on one process-wide model.
//!
//! The story of a request: `listen` accepts, `guard` looks whether it may come in, a handler (`turn`, `classify`, `openai`,
//! `sessions`) reads it, `queue` says when, `work` runs the library on a thread of its own and ends it when the caller goes away.

mod classify;
mod docs;
mod guard;
mod health;
mod input;
mod listen;
mod metrics;
mod openai;
mod page;
mod problem;
mod queue;
mod router;
mod sessions;
mod sse;
mod startup;
mod state;
mod store;
mod turn;
mod wire;
mod work;

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::note;
use guard::Guard;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  qaio serve --open
  qaio serve --model ~/models/Qwen3-0.6B --port 9000
  qaio serve --task urgency.json
  QAIO_API_KEY=$(openssl rand -hex 24) qaio serve --host 0.0.0.0

  curl http://127.0.0.1:8080/api/turn -H 'content-type: application/json' -d '{\"text\": \"I passed my exam!\"}'
  curl http://127.0.0.1:8080/api/classify -H 'content-type: application/json' -d '{\"texts\": [\"好吃\", \"难吃\"]}'

Pages:
  /        the chat        /docs     the API, to read and to try        /metrics  figures for Prometheus

Only this machine can connect unless --host says otherwise. Ctrl-C lets running replies finish, a second one does not.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Open the chat in the browser
    #[arg(long)]
    pub open: bool,

    /// The address to listen on; other than this machine's own needs --api-key
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,

    /// A task file to offer beside the shipped tasks; may be given several times
    #[arg(long, value_name = "FILE")]
    pub task: Vec<PathBuf>,

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub load: LoadArgs,
}

/// Who may come in.
#[derive(clap::Args)]
#[command(next_help_heading = "Access")]
pub struct AccessArgs {
    /// Clients must send `Authorization: Bearer KEY`
    #[arg(long, value_name = "KEY", env = "QAIO_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,

    /// Listen beyond this machine without a key: everyone who reaches the port can use the model
    #[arg(long, conflicts_with = "api_key")]
    pub no_api_key: bool,

    /// A name by which browsers may call this server, beside its addresses; may be given several times
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,

    /// A web page's origin that may use the API, such as https://example.org; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
}

/// How much at once.
#[derive(clap::Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Requests that compute at the same time; their decoding steps share passes over the weights
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,

    /// Requests that may wait; one more is told to come back later (429)
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub queue: u16,

    /// Seconds that a request may compute
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Seconds that running replies get to finish when the server stops
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub grace: u64,

    /// Keep conversations in memory only; otherwise they survive a restart, in a folder that only you can read
    #[arg(long)]
    pub forget: bool,
}

pub fn run(args: &Args, own: &ServeArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let guard = Guard::new(own.host, &own.access)?;
    if !own.host.is_loopback() && own.access.no_api_key {
        let address = address(own);
        note::error(&format!("warning: --no-api-key: everyone who reaches {address} may use the model"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(usize::from(own.load.parallel) + 8)
        .enable_all()
        .build()
        .map_err(|error| Failure::Message(format!("the server's threads could not start: {error}")))?;
    let outcome = interrupts.during(|cancel| runtime.block_on(startup::serve(args, own, guard, cancel)));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Where to listen.
fn address(own: &ServeArgs) -> SocketAddr {
    SocketAddr::new(own.host, own.port)
}
