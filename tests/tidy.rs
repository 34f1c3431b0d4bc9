//! The house rules that a compiler does not check: which module may name which
//! other one, what the machine may touch, and that each file opens with its
//! promise. Reads the sources; knows nothing of what they do.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of this crate a module may name: only those below it.
///
/// A new module gets its line here, and with it its place.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("machine", &[]),
    ("proto", &[]),
    ("nearest", &[]),
    ("access", &["machine"]),
    ("codec", &["machine", "proto"]),
    ("store", &["codec", "machine", "proto"]),
    ("export", &["store", "codec", "machine"]),
    ("error", &["store", "machine"]),
    ("limits", &["error", "machine"]),
    ("service", &["limits", "error", "store", "codec", "machine"]),
    ("sweep", &["service", "store", "machine"]),
    ("observe", &["service", "store", "machine"]),
    (
        "api",
        &[
            "access", "observe", "limits", "service", "error", "export", "store", "codec",
            "machine", "proto", "nearest",
        ],
    ),
    (
        "config",
        &["api", "sweep", "observe", "limits", "service", "store", "access", "machine", "nearest"],
    ),
    (
        "server",
        &[
            "config", "api", "sweep", "observe", "limits", "service", "error", "export", "store",
            "access", "codec", "machine", "proto",
        ],
    ),
    (
        "cli",
        &[
            "server", "config", "api", "sweep", "observe", "limits", "service", "error", "export",
            "store", "access", "codec", "machine", "proto", "nearest",
        ],
    ),
];

/// The protocols. They never name one another.
const PARTS_OF_API: &[&str] = &["mcp", "http", "grpc"];

/// The crates that the machine may use: pure functions.
const MACHINE_CRATES: &[&str] = &["sha2", "serde_json"];

/// What would let two replicas differ, or make a rule wait. No file of the
/// machine names any of it.
const NOT_IN_MACHINE: &[&str] = &[
    "HashMap",
    "HashSet",
    "RandomState",
    "SystemTime",
    "Instant",
    "async",
    "thread",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "println",
    "eprintln",
    "static",
    "f64",
    "f32",
    "unsafe",
];

/// What is wrong with the file at `path` (below `src`), sentence by sentence.
fn complaints(path: &str, source: &str, crates: &[String]) -> Vec<String> {
    let code = without_comments(source);
    let module = module_path(path);
    let mut found = Vec::new();
    if !source.starts_with("//!") {
        found.push(format!("{path} does not open with its promise (//!)"));
    }
    let Some(top) = module.first() else { return found };
    match MAY_NAME.iter().find(|(name, _)| name == top) {
        None => found.push(format!("{path}: module '{top}' has no place in MAY_NAME")),
        Some((_, may)) => found.extend(
            named_modules(&module, &code)
                .filter(|named| named[0] != *top && !may.contains(&&*named[0]))
                .filter(|named| MAY_NAME.iter().any(|(name, _)| *name == named[0]))
                .map(|named| format!("{path} names '{}', which is not below '{top}'", named[0])),
        ),
    }
    if top == "api" {
        found.extend(named_modules(&module, &code).filter_map(|named| stranger(&module, &named)));
    }
    if top == "machine" {
        found.extend(impurities(path, &code, crates));
    }
    found
}

/// A part of the api that names another part.
fn stranger(module: &[String], named: &[String]) -> Option<String> {
    let is_part = |path: &[String]| path.get(1).is_some_and(|part| PARTS_OF_API.contains(&&**part));
    let strangers = named[0] == "api" && is_part(module) && is_part(named) && module[1] != named[1];
    strangers.then(|| format!("api::{} names api::{}", module[1], named[1]))
}

fn impurities(path: &str, code: &str, crates: &[String]) -> Vec<String> {
    let banned = NOT_IN_MACHINE.iter().filter(|word| contains_word(code, word));
    let foreign = crates.iter().filter(|name| !MACHINE_CRATES.contains(&&***name));
    let foreign = foreign.filter(|name| contains_word(code, &format!("{name}::")));
    let banned = banned.map(|word| format!("{path} says '{word}'"));
    banned.chain(foreign.map(|name| format!("{path} uses the crate '{name}'"))).collect()
}

/// Every module of this crate that the code names, as a path from its root.
fn named_modules<'a>(
    module: &'a [String],
    code: &'a str,
) -> impl Iterator<Item = Vec<String>> + 'a {
    let absolute = ["crate::", "mcp_state_sidecar::"].into_iter().flat_map(move |root| {
        positions(code, root).flat_map(move |at| paths(&code[at + root.len()..]))
    });
    let relative = code.lines().filter_map(move |line| {
        let rest = line.strip_prefix("use ").or_else(|| line.strip_prefix("pub use "))?;
        let supers = rest.split("::").take_while(|part| *part == "super").count();
        let base = module.len().checked_sub(supers).filter(|_| supers > 0)?;
        let rest: Vec<&str> = rest.split("::").skip(supers).collect();
        let named = paths(&rest.join("::")).into_iter();
        Some(named.map(move |named| [&module[..base], &named].concat()).collect::<Vec<_>>())
    });
    absolute.chain(relative.flatten()).filter(|path| !path.is_empty())
}

/// The names that a path starts with: `a::b::C` gives a, b, C. Where a list in
/// braces comes first, one path for each of its members.
fn paths(text: &str) -> Vec<Vec<String>> {
    if let Some(list) = text.strip_prefix('{') {
        return members(list).iter().flat_map(|member| paths(member)).collect();
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_:".contains(c))).unwrap_or(text.len());
    let names: Vec<String> =
        text[..end].split("::").filter(|name| !name.is_empty()).map(str::to_string).collect();
    match text[end..].strip_prefix('{') {
        Some(list) => members(list)
            .iter()
            .flat_map(|member| paths(member))
            .map(|rest| [names.clone(), rest].concat())
            .collect(),
        None => vec![names],
    }
}

/// The members of a list in braces, whose opening brace is gone.
fn members(list: &str) -> Vec<String> {
    let (mut depth, mut all, mut member) = (0, Vec::new(), String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut member));
                continue;
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        member.push(c);
    }
    all.push(member);
    all
}

/// Where `word` stands by itself, not as the end of a longer name.
fn positions<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn contains_word(code: &str, word: &str) -> bool {
    positions(code, word).any(|at| {
        let after = &code[at + word.len()..];
        word.ends_with(':') || !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// The code without its comments. Lifetimes stay: `'static` is another word
/// than `static`.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| match line.trim_start().starts_with("//") {
        true => "",
        false => line.split(" // ").next().unwrap_or(line),
    });
    lines.collect::<Vec<_>>().join("\n").replace("'static", "'_")
}

/// `store/raft/log.rs` is `store::raft::log`; the crate's roots have no path.
fn module_path(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" | "main" => Vec::new(),
        path if path.starts_with("bin/") => Vec::new(),
        path => path.split('/').map(str::to_string).collect(),
    }
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
}

/// The crates that the package depends on, as code names them.
fn crates() -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest can be read");
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).collect()
}

#[test]
fn sources_keep_the_arrows_and_open_with_their_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    sources(&root, &mut all);
    all.sort();
    assert!(all.len() > 30, "only {} sources were found", all.len());
    let crates = crates();
    assert!(crates.iter().any(|name| name == "tokio"), "{crates:?}");
    let found: Vec<String> = all
        .iter()
        .flat_map(|path| {
            let source = fs::read_to_string(path).expect("a source can be read");
            let path = path.strip_prefix(&root).expect("it lies below src");
            complaints(&path.to_string_lossy(), &source, &crates)
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_planted_fault_is_seen() {
    let crates = crates();
    for (path, code, wrong) in [
        ("machine/rules/kv.rs", "use crate::store::Store;", "names 'store'"),
        ("machine/rules/kv.rs", "use super::super::super::store::Store;", "names 'store'"),
        ("machine/kv.rs", "use crate::{\n    machine::Json,\n    api::mcp,\n};", "names 'api'"),
        ("machine/kv.rs", "fn f() {\n    crate::codec::encode();\n}", "names 'codec'"),
        ("machine/kv.rs", "use std::collections::HashMap;", "says 'HashMap'"),
        ("machine/kv.rs", "use std::time::{Duration, SystemTime};", "says 'SystemTime'"),
        ("machine/kv.rs", "pub async fn f() {}", "says 'async'"),
        ("machine/kv.rs", "use rand::Rng;", "crate 'rand'"),
        ("machine/kv.rs", "fn f() {\n    tokio::spawn(g());\n}", "crate 'tokio'"),
        ("machine/kv.rs", "use prost::Message;", "crate 'prost'"),
        ("codec.rs", "use crate::store::Store;", "names 'store'"),
        ("store/mod.rs", "use crate::service::Service;", "names 'service'"),
        ("store/raft/log.rs", "use crate::api::http;", "names 'api'"),
        ("service.rs", "use crate::config::Config;", "names 'config'"),
        ("service.rs", "use super::api::http;", "names 'api'"),
        ("api/mcp/mod.rs", "use crate::config::Config;", "names 'config'"),
        ("api/mcp/mod.rs", "use crate::api::grpc::Thing;", "api::mcp names api::grpc"),
        ("api/http/mod.rs", "use super::mcp::Thing;", "api::http names api::mcp"),
        ("api/http/page.rs", "use crate::api::{error, mcp::Thing};", "api::http names api::mcp"),
        ("server.rs", "use crate::cli::Flags;", "names 'cli'"),
        ("stray.rs", "", "no place in MAY_NAME"),
    ] {
        let source = format!("//! A promise.\n\n{code}\n");
        let found = complaints(path, &source, &crates);
        assert!(found.iter().any(|found| found.contains(wrong)), "{path}: {code}: {found:?}");
    }
    let silent = complaints("machine/kv.rs", "use std::fmt;\n", &crates);
    assert_eq!(silent, ["machine/kv.rs does not open with its promise (//!)"]);
}

#[test]
fn what_is_in_order_is_left_alone() {
    let source = "//! A HashMap is not used here, nor tokio::spawn.\n\n\
        use crate::machine::{Json, value::Revision};\nuse super::super::draft::Draft;\n\n\
        // Nor crate::store::Store.\nfn f(name: &'static str) -> InstantNoodles {}\n";
    assert_eq!(complaints("machine/rules/kv.rs", source, &crates()), [""; 0]);
    let inside = "//! Fine.\nuse super::guard;\nuse crate::api::Shared;\n";
    assert_eq!(complaints("api/http/serve.rs", inside, &crates()), [""; 0]);
}
