//! Writes `include/qaio.h` from `src/ffi`, and tells the library its version.

use std::path::Path;
use std::process::Command;

/// The order of the header: simple calls first.
const CONCEPTS: [&str; 11] = [
    "model",
    "sentiment",
    "reply",
    "callback",
    "session",
    "task",
    "classification",
    "batch",
    "cancel",
    "status",
    "log",
];

fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=include/qaio.h");
    write_header();
    export_version();
    link_options();
}

fn write_header() {
    let mut config = cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml is valid");
    let version = env!("CARGO_PKG_VERSION");
    config.after_includes =
        Some(format!("\n/** Semantic version of this header. */\n#define QAIO_VERSION \"{version}\""));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for concept in CONCEPTS.iter().chain(&["version"]) {
        builder = builder.with_src(format!("src/ffi/{concept}.rs"));
    }
    let bindings = builder.generate().expect("src/ffi is what cbindgen understands");
    let mut header = Vec::new();
    bindings.write(&mut header);
    // A packaged or read-only source has the header already; only a changed one is written.
    if std::fs::read("include/qaio.h").ok().as_deref() != Some(&header)
        && let Err(error) = std::fs::write("include/qaio.h", &header)
    {
        println!("cargo:warning=include/qaio.h is out of date and could not be written: {error}");
    }
}

/// `QAIO_FULL_VERSION`: the version, with the git revision where there is one.
fn export_version() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let version = std::env::var("CARGO_PKG_VERSION").expect("set by cargo");
    let revision =
        Path::new(".git").exists().then(|| Command::new("git").args(["rev-parse", "--short", "HEAD"]).output());
    let full = match revision {
        Some(Ok(output)) if output.status.success() => {
            format!("{version}+{}", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => version,
    };
    println!("cargo:rustc-env=QAIO_FULL_VERSION={full}");
}

/// The shared library stays in memory once it is loaded: its threads must not lose their code.
fn link_options() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        for option in ["-Wl,-z,nodelete", "-Wl,-z,relro", "-Wl,-z,now"] {
            println!("cargo:rustc-cdylib-link-arg={option}");
        }
    }
}
