//! From the command line to a server that runs, and to its end.

use super::guard::Guard;
use super::queue::Queue;
use super::sessions::Sessions;
use super::state::{App, Loaded, Shared};
use super::store::Store;
use super::{ServeArgs, listen, router};
use crate::args::Args;
use crate::failure::Failure;
use crate::{home, load, note, speaker, task};
use qaio::{CancelToken, Task, TaskDefinition};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A model that is loaded within this time is not worth announcing the address before.
const SOON: Duration = Duration::from_millis(1500);
/// How often it is looked whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(30);

/// Serves until `cancel` is set or the process is told to end.
pub async fn serve(args: &Args, own: &ServeArgs, guard: Guard, cancel: CancelToken) -> Result<(), Failure> {
    log();
    let definitions = own.task.iter().map(|path| task::from_file(path)).collect::<Result<Vec<_>, _>>()?;
    let sessions = Sessions::new(store(own)?);
    let queue = Queue::new(usize::from(own.load.parallel), usize::from(own.load.queue));
    let app = App::new(guard, queue, sessions, Duration::from_secs(own.load.timeout));
    let address = super::address(own);
    let listener = TcpListener::bind(address).await.map_err(|error| not_bound(address, &error))?;
    let address = listener.local_addr().map_err(|error| not_bound(address, &error))?;

    let (closing, model, demonstration) = (cancel.clone(), args.model.clone(), args.model.model.is_none());
    let mut loading = tokio::task::spawn_blocking(move || {
        let model = load::cancellable(&model, cancel.clone())?;
        let shipped = TaskDefinition::SHIPPED.map(TaskDefinition::shipped);
        let tasks = shipped.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().chain(definitions);
        let on_model = |definition| Task::new(&model, definition, Some(cancel.clone())).map(Arc::new);
        let tasks = tasks.map(on_model).collect::<Result<_, _>>()?;
        Ok::<_, Failure>(Loaded { model, tasks, demonstration })
    });
    let served = tokio::spawn(listen::serve(listener, router::router(app.clone()), stopped(closing)));
    let loaded = match tokio::time::timeout(SOON, &mut loading).await {
        Ok(loaded) => loaded,
        Err(_) => {
            note::hint(&format!("Loading the model; {} answers already.", url(address)));
            loading.await
        }
    };
    let loaded = loaded.map_err(|panic| Failure::Message(format!("loading failed: {panic}")))??;
    app.set_loaded(Ok(loaded));
    announce(args, own, address)?;

    let graceful = served.await.map_err(|panic| Failure::Message(format!("the server failed: {panic}")))?;
    let (running, _) = app.queue.load();
    if running > 0 {
        note::hint(&format!("Letting {running} running replies finish; Ctrl-C ends them."));
    }
    finish(&app, graceful.shutdown(), Duration::from_secs(own.load.grace)).await;
    Ok(())
}

/// Waits for what is under way; after `grace` it must end.
async fn finish(app: &Shared, done: impl Future<Output = ()>, grace: Duration) {
    tokio::pin!(done);
    if tokio::time::timeout(grace, &mut done).await.is_err() {
        app.closing.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(2), done).await;
    }
}

/// Until Ctrl-C, or the signal with which a service is ended.
async fn stopped(cancel: CancelToken) {
    let pressed = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    };
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = pressed => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    pressed.await;
}

fn announce(args: &Args, own: &ServeArgs, address: SocketAddr) -> Result<(), Failure> {
    let url = url(address);
    let line = match args.json {
        true => format!("{}\n", json!({"url": url})),
        false => format!("qaio listens on {url}\n"),
    };
    speaker::write(&line).map_err(Failure::Output)?;
    note::hint(&format!("The chat is at {url}, the API's description at {url}docs. Ctrl-C stops."));
    if own.open
        && let Err(error) = open::that_detached(&url)
    {
        note::error(&format!("no browser could be opened ({error}); open {url} yourself"));
    }
    Ok(())
}

/// As a browser on this machine reaches it.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
        ip if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, address.port()))
}

fn store(own: &ServeArgs) -> Result<Option<Store>, Failure> {
    if own.load.forget {
        return Ok(None);
    }
    let Some(folder) = home::data().map(|data| data.join("sessions")) else {
        note::hint("There is no home folder to keep conversations in; they end with the server.");
        return Ok(None);
    };
    Store::open(folder.clone()).map(Some).map_err(|error| {
        let folder = folder.display();
        Failure::Message(format!("{folder}: {error}; make it writable, set QAIO_HOME, or serve with --forget"))
    })
}

fn not_bound(address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there; --port 0 takes a free one",
        std::io::ErrorKind::PermissionDenied => "ports under 1024 need privileges; choose another --port",
        _ => "choose another --host or --port",
    };
    Failure::Message(format!("{address} cannot be listened on: {error}; {remedy}"))
}

/// One line per request on standard error, if RUST_LOG asks for it.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "qaio=warn".into());
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
}
