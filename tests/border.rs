//! The C ABI from outside: C, C++ and Python programs, compiled and run against the shared library that cargo built.
//!
//! `cc` and `python3` are needed; what needs `c++` is skipped, with a word about it, where there is none.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const DEMO: [(&str, &str, &str); 2] = [
    ("终于把bug修完了，感觉整个人都轻松了！", "happy", "😄 LLM 情感判断: 正面"),
    ("项目延期了，客户又要投诉，压力好大。", "unhappy", "😄 LLM 情感判断: 负面"),
];

// ---- tools ----

/// The shared library of this build: beside this test's executable, or one folder up where `cargo build` puts a copy.
fn library() -> PathBuf {
    let name = format!("{DLL_PREFIX}qaio{DLL_SUFFIX}");
    let executable = std::env::current_exe().unwrap();
    let dependencies = executable.parent().unwrap();
    let places = [dependencies.join(&name), dependencies.join("..").join(&name)];
    let newest = places.iter().filter_map(|place| Some((place.metadata().ok()?.modified().ok()?, place))).max();
    let (_, place) = newest.unwrap_or_else(|| panic!("cargo built no {name} beside {}", executable.display()));
    place.canonicalize().unwrap()
}

/// A command without what cargo sets for its own children, so that programs find the library by themselves.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(ROOT).env_remove("LD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH");
    command.stdin(Stdio::null());
    command
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The C++ compiler, or a word about what is not tested without it.
fn cxx(test: &str) -> Option<&'static str> {
    let found = ["c++", "g++", "clang++"].into_iter().find(|compiler| has(compiler));
    if found.is_none() {
        eprintln!("{test}: skipped, because there is no C++ compiler (c++, g++ or clang++)");
    }
    found
}

/// Runs it; its stdout, if it succeeds.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = output(command);
    assert!(
        status.success(),
        "{command:?}\n{status}\n{stdout}{stderr}",
        stdout = text(&stdout),
        stderr = text(&stderr)
    );
    text(&stdout)
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("programs print UTF-8")
}

/// Runs it with `input` on its stdin.
fn run_with_input(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(status.success(), "{command:?}\n{status}\n{}{}", text(&stdout), text(&stderr));
    text(&stdout)
}

/// Compiles a program of this repository into `folder` and links it as the README says.
fn compile(compiler: &str, standard: &str, source: &str, folder: &Path) -> PathBuf {
    let library = library();
    let library = library.parent().unwrap().display();
    let program = folder.join(Path::new(source).file_stem().unwrap());
    run(command(compiler)
        .args(STRICT)
        .args([standard, "-O1", "-g", "-pthread", "-Iinclude", source, "-o"])
        .arg(&program)
        .args([format!("-L{library}"), "-lqaio".into(), format!("-Wl,-rpath,{library}"), "-ldl".into(), "-lm".into()]));
    program
}

fn compile_c(source: &str, folder: &Path) -> PathBuf {
    compile("cc", "-std=c99", source, folder)
}

/// The programs of `examples/<language>`, built by its Makefile where there is a make, else by the same line.
fn examples(language: &str, names: &[&str], folder: &Path) -> Vec<PathBuf> {
    if has("make") {
        let library = library();
        let [library, out] = [library.parent().unwrap(), folder].map(|path| path.display().to_string());
        let flags = format!("-O1 {}", STRICT.join(" "));
        run(command("make")
            .args(["-C", &format!("examples/{language}"), &format!("LIB={library}"), &format!("OUT={out}")])
            .args([format!("CFLAGS={flags}"), format!("CXXFLAGS={flags}")]));
    } else {
        let (compiler, standard, suffix) = if language == "c" { ("cc", "c99", "c") } else { ("c++", "c++17", "cpp") };
        for name in names {
            compile(compiler, &format!("-std={standard}"), &format!("examples/{language}/{name}.{suffix}"), folder);
        }
    }
    names.iter().map(|name| folder.join(name)).collect()
}

fn python() -> Command {
    let mut python = command("python3");
    python.env("PYTHONPATH", Path::new(ROOT).join("bindings/python")).env("QAIO_LIBRARY", library());
    python.env("PYTHONIOENCODING", "utf-8").env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The names that begin with `qaio_` in `source` where `is_wanted` says so of what stands before and after.
fn names(source: &str, is_wanted: impl Fn(&str, &str) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in source.match_indices("qaio_") {
        let rest = &source[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if is_wanted(&source[..at], &rest[end..]) {
            found.insert(rest[..end].to_owned());
        }
    }
    found
}

/// The functions that the header declares: names before a parenthesis, outside of comments.
fn declared() -> BTreeSet<String> {
    let mut code = String::new();
    for (n, part) in read("include/qaio.h").split("/*").enumerate() {
        code += if n == 0 { part } else { part.split_once("*/").expect("comments end").1 };
    }
    names(&code, |_, after| after.starts_with('('))
}

// ---- header ----

#[test]
fn the_header_compiles_alone_and_twice() {
    let folder = tempfile::tempdir().unwrap();
    for standard in ["-std=c99", "-std=c11", "-std=c17"] {
        run(command("cc").args(STRICT).args([standard, "-fsyntax-only", "-x", "c", "include/qaio.h"]));
    }
    run(&mut command(compile_c("tests/c/header_twice.c", folder.path())));
    let Some(cxx) = cxx("the_header_compiles_alone_and_twice") else { return };
    for header in ["include/qaio.h", "include/qaio.hpp"] {
        // "Alone" goes without the warning that a header was compiled alone.
        run(command(cxx).args(STRICT).args(["-std=c++17", "-fsyntax-only", "-x", "c++", header]));
    }
    run(command(cxx).args(STRICT).args([
        "-std=c++17",
        "-fsyntax-only",
        "-Iinclude",
        "-x",
        "c++",
        "tests/c/header_twice.c",
    ]));
}

#[test]
#[cfg(target_os = "linux")]
fn header_library_and_python_have_the_same_functions() {
    let declared = declared();
    assert!(declared.len() >= 56, "{declared:?}");

    let symbols = run(command("nm").args(["-D", "--defined-only"]).arg(library()));
    let exported = symbols.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(exported, declared, "exported by the library, declared by the header");

    let native = read("bindings/python/qaio/_native.py");
    let bound = names(&native, |before, after| before.ends_with("    \"") && after.starts_with("\": ("));
    assert_eq!(bound, declared, "bound by _native.py, declared by the header");

    let tests = read("tests/c/border.c") + &read("tests/c/task.c");
    let tested = names(&tests, |_, after| after.starts_with('('));
    let untested = declared.difference(&tested).collect::<Vec<_>>();
    assert!(untested.is_empty(), "the C tests do not call {untested:?}");
}

/// Stack, relocations and sections as a hardened distribution wants them.
#[cfg(target_os = "linux")]
#[test]
fn the_library_is_hardened() {
    let headers = run(command("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(library()));
    let line = |name: &str| headers.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    assert!(line("GNU_STACK").contains(" RW "), "an executable stack:\n{headers}");
    assert!(!line("GNU_RELRO").is_empty(), "no RELRO:\n{headers}");
    assert!(headers.contains("BIND_NOW") || headers.contains("NOW"), "symbols are bound lazily:\n{headers}");
    assert!(!headers.contains("TEXTREL"), "text relocations:\n{headers}");
    assert!(!headers.contains("RPATH") && !headers.contains("RUNPATH"), "a path of the build:\n{headers}");
    for load in headers.lines().filter(|line| line.trim_start().starts_with("LOAD")) {
        assert!(!load.contains("RWE"), "memory that can be written and run:\n{headers}");
    }
}

// ---- programs ----

#[test]
fn the_border_holds() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("tests/c/border.c", folder.path());
    run(command(program).arg("src/builtin/qaio-mini.gguf"));
}

#[test]
fn tasks_hold_at_the_border() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut command(compile_c("tests/c/task.c", folder.path())));
}

#[cfg(target_os = "linux")]
#[test]
fn unkind_surroundings_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("tests/c/surroundings.c", folder.path());
    run(command(program).arg("src/builtin/qaio-mini.gguf"));
}

/// A short form of what `tests/soak.sh` does for an hour.
#[cfg(target_os = "linux")]
#[test]
fn nothing_grows() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("tests/c/soak.c", folder.path());
    run(command(&program).args(["1", "4"]));
    run(command(&program).args(["16", "4"]));
}

#[test]
fn the_library_prints_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = output(&mut command(compile_c("tests/c/silent.c", folder.path())));
    assert_eq!((status.code(), text(&stdout).as_str(), text(&stderr).as_str()), (Some(0), "", ""));
}

#[test]
fn the_library_can_be_opened_and_closed_at_run_time() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("reopen");
    run(command("cc").args(STRICT).args(["-std=c99", "-Iinclude", "tests/c/reopen.c", "-ldl", "-o"]).arg(&program));
    run(command(&program).arg(library()));
    // Beside a copy of itself, as two plug-ins of one host may bring it.
    let copy = folder.path().join("another-name.so");
    std::fs::copy(library(), &copy).unwrap();
    run(command(&program).args([&library(), &copy]));
}

#[test]
fn the_cpp_wrapper_holds() {
    let Some(cxx) = cxx("the_cpp_wrapper_holds") else { return };
    let folder = tempfile::tempdir().unwrap();
    run(&mut command(compile(cxx, "-std=c++17", "tests/cpp/wrapper.cpp", folder.path())));
}

#[test]
fn the_python_package_holds() {
    run(python().args(["-m", "unittest", "-q", "tests/python/test_qaio.py"]));
}

// ---- examples ----

#[test]
fn c_examples_run() {
    let folder = tempfile::tempdir().unwrap();
    let programs = examples("c", &["sentiment", "turn_stream", "classify"], folder.path());
    let [sentiment, turn_stream, classify] = &programs[..] else { unreachable!() };

    let said = run(command(classify).args(["language", "你好", " "]));
    assert!(said.contains("): 你好\n(the text is empty"), "{said}");
    assert_eq!(output(command(classify).args(["mood", "你好"])).status.code(), Some(1));

    let said = run(command(sentiment).arg("What a day!"));
    assert!(said.starts_with("happy (") || said.starts_with("unhappy ("), "{said}");
    assert!(said.ends_with("): What a day!\n"), "{said}");
    run(&mut command(sentiment));
    let Output { status, stdout, stderr } = output(command(sentiment).arg(" "));
    assert_eq!((status.code(), text(&stdout).as_str()), (Some(1), ""));
    assert!(text(&stderr).starts_with("sentiment: the text is empty"), "{}", text(&stderr));

    let said = run(command(turn_stream).arg("今天好累啊"));
    assert!(said.starts_with("😄 LLM 情感判断: 正面\n") || said.starts_with("😄 LLM 情感判断: 负面\n"), "{said}");
    assert!(said.ends_with(" bytes)\n"), "{said}");
    run(&mut command(turn_stream));
}

/// Three lines, of which one is empty, and what a chat must make of them.
fn chat_holds(chat: &mut Command) {
    let said = run_with_input(chat, "今天好累啊\n\nWhat a day!\n");
    assert_eq!(said.matches("😄 LLM 情感判断: ").count(), 2, "{said}");
    assert!(said.starts_with("> 😄") && said.ends_with("> \n"), "{said}");
    assert_eq!(run_with_input(chat, ""), "> \n");
    let Output { status, stderr, .. } = output(chat.arg("no/such/model"));
    assert_eq!(status.code(), Some(1));
    assert!(text(&stderr).starts_with("chat: no/such/model does not exist"), "{}", text(&stderr));
}

#[test]
fn the_cpp_example_runs() {
    if cxx("the_cpp_example_runs").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chat_holds(&mut command(&examples("cpp", &["chat"], folder.path())[0]));
}

#[test]
fn the_python_examples_run() {
    chat_holds(python().arg("examples/python/chat.py"));
    let said = run(python().args(["examples/python/triage.py", "快递三天没动静，客服也不回", "请问几点开门？"]));
    assert!(said.lines().count() >= 2 && said.contains("  请问几点开门？"), "{said}");
}

// ---- what the built-in model must get right ----

#[test]
fn the_demo_messages_are_understood_in_c() {
    let folder = tempfile::tempdir().unwrap();
    let programs = examples("c", &["sentiment", "turn_stream"], folder.path());
    for (message, word, line) in DEMO {
        let said = run(command(&programs[0]).arg(message));
        assert!(said.starts_with(&format!("{word} (")), "{said}");
        let said = run(command(&programs[1]).arg(message));
        assert!(said.starts_with(&format!("{line}\n")), "{said}");
    }
}

#[test]
fn the_demo_messages_are_understood_in_python() {
    for (message, _, line) in DEMO {
        let script = "import qaio, sys; print(qaio.load().sentiment(sys.argv[1]).line)";
        assert_eq!(run(python().args(["-c", script, message])), format!("{line}\n"));
    }
}
