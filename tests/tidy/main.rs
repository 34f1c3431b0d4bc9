//! The house rules that a compiler does not check:
//!
//! 1. A file opens with what it promises (`//!`).
//! 2. A module imports only modules of the lines above its own in [`LAYERS`].
//! 3. No two files import each other, directly or through other files.
//! 4. A `mod.rs` is the map of its folder: it declares and re-exports, and
//!    defines nothing.
//! 5. A type name is used once in the crate, so that whoever meets it knows
//!    which type is meant.
//! 6. The machine is pure: it names nothing of [`NOT_IN_MACHINE`], and no crate
//!    but [`MACHINE_CRATES`].

mod rules;
mod source;

use std::fs;
use std::path::Path;

use rules::complaints;

/// The modules of a folder, from the lowest layer to the highest. Modules that
/// share a line do not import each other.
const LAYERS: &[(&str, &[&[&str]])] = &[
    (
        "",
        &[
            &["machine", "nearest", "proto"],
            &["access", "codec", "cron", "limits"],
            &["store"],
            &["error", "export"],
            &["service"],
            &["observe", "sweep"],
            &["api"],
            &["config"],
            &["server"],
            &["cli"],
        ],
    ),
    ("api", &[&["json_rpc", "observed"], &["grpc", "http", "mcp"], &["routes"]]),
];

/// Files at the root of the crate that belong to no layer.
const ROOTS: &[&str] = &["lib", "main", "bin/http"];

const MACHINE_CRATES: &[&str] = &["serde_json", "sha2"];

/// What would let two replicas differ, or make a rule wait.
const NOT_IN_MACHINE: &[&str] = &[
    "HashMap",
    "HashSet",
    "Instant",
    "RandomState",
    "SystemTime",
    "env",
    "eprintln",
    "f32",
    "f64",
    "fs",
    "io",
    "net",
    "println",
    "process",
    "static",
    "thread",
    "unsafe",
];

/// Generated code, and the unit tests, which are free of these rules.
const LEFT_OUT: &[&str] = &["proto/generated", "tests", "tests.rs"];

/// Names that several types may have: each module has its own options, and the
/// traits of other crates ask for the rest.
const COMMON_NAMES: &[&str] = &["Options"];

/// Every source of the crate but generated ones, with its path below `src`.
fn sources(folder: &Path, root: &Path, all: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if LEFT_OUT.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            sources(&path, root, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source can be read");
            let path = path.strip_prefix(root).expect("it lies below src");
            all.push((path.to_string_lossy().into_owned(), text));
        }
    }
}

/// The crates that the package depends on, as code names them.
fn crates() -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest can be read");
    let manifest: toml::Table = manifest.parse().expect("the manifest is TOML");
    let dependencies = manifest["dependencies"].as_table().expect("there are dependencies");
    dependencies.keys().map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    sources(&root, &root, &mut all);
    all.sort();
    assert!(all.len() > 200, "only {} sources were found", all.len());
    let found = complaints(&all, &crates());
    assert!(found.is_empty(), "{found:#?}");
}

/// Complaints about these files alone.
fn about(files: &[(&str, &str)]) -> Vec<String> {
    let promised = |code: &str| format!("//! A promise.\n\n{code}\n");
    let owned = |(path, code): &(&str, &str)| (path.to_string(), promised(code));
    complaints(&files.iter().map(owned).collect::<Vec<_>>(), &crates())
}

#[test]
fn a_planted_fault_is_seen() {
    for (path, code, wrong) in [
        ("machine/rules/kv.rs", "use crate::store::Store;", "names 'store'"),
        ("machine/rules/kv.rs", "use super::super::super::store::Store;", "names 'store'"),
        ("machine/kv.rs", "use crate::{\n    machine::Json,\n    api::mcp,\n};", "names 'api'"),
        ("machine/kv.rs", "fn f() {\n    crate::codec::encode();\n}", "names 'codec'"),
        ("machine/kv.rs", "fn f() {\n    assert!(crate::codec::ok());\n}", "names 'codec'"),
        ("machine/kv.rs", "use std::collections::HashMap;", "says 'HashMap'"),
        ("machine/kv.rs", "use std::time::{Duration, SystemTime};", "says 'SystemTime'"),
        ("machine/kv.rs", "fn f() { std::thread::yield_now() }", "says 'thread'"),
        ("machine/kv.rs", "pub async fn f() {}", "says 'async'"),
        ("machine/kv.rs", "static ONE: u8 = 1;", "says 'static'"),
        ("machine/kv.rs", "use rand::Rng;", "crate 'rand'"),
        ("machine/kv.rs", "fn f() {\n    tokio::spawn(g());\n}", "crate 'tokio'"),
        ("machine/kv.rs", "use prost::Message;", "crate 'prost'"),
        ("store/raft/log.rs", "use crate::api::http;", "names 'api'"),
        ("service/wait.rs", "use crate::config::Config;", "names 'config'"),
        ("api/mcp/tool.rs", "use crate::api::grpc::Thing;", "names 'grpc'"),
        ("api/http/page.rs", "use super::super::mcp::Thing;", "names 'mcp'"),
        ("api/http/page.rs", "use crate::api::{error, mcp::Thing};", "names 'mcp'"),
        ("server/run.rs", "use crate::cli::Flags;", "names 'cli'"),
        ("stray.rs", "use crate::machine::Json;", "no place in LAYERS"),
        ("store/mod.rs", "pub struct Thing;", "is a map"),
    ] {
        let found = about(&[(path, code)]);
        assert!(found.iter().any(|found| found.contains(wrong)), "{path}: {code}: {found:?}");
    }
    let silent = complaints(&[("machine/kv.rs".into(), "use std::fmt;\n".into())], &crates());
    assert_eq!(silent, ["machine/kv.rs does not open with its promise (//!)"]);
}

#[test]
fn files_that_import_one_another_are_seen() {
    let direct = [
        ("store/a.rs", "use super::b::B;\npub struct A;"),
        ("store/b.rs", "use crate::store::a::A;\npub struct B;"),
        ("store/c.rs", "use super::a::A;"),
    ];
    assert_eq!(about(&direct), [r#"these files import one another: ["store/a.rs", "store/b.rs"]"#]);
    let around = [
        ("store/mod.rs", "mod a;\nmod b;\nmod c;\npub use a::A;"),
        ("store/a.rs", "use super::b;\npub struct A;\nfn f() { b::g() }"),
        ("store/b.rs", "pub fn g() { super::c::h() }"),
        ("store/c.rs", "use super::A;\npub fn h() {}"),
    ];
    let found = about(&around);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("store/c.rs"), "{found:?}");
}

#[test]
fn a_type_name_in_two_files_is_seen() {
    let twice = [("store/a.rs", "pub struct Page;"), ("machine/b.rs", "enum Page {}")];
    assert_eq!(
        about(&twice),
        [r#"the type name 'Page' is used in ["machine/b.rs", "store/a.rs"]"#]
    );
}

#[test]
fn what_is_in_order_is_left_alone() {
    let fine = [
        ("store/mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
        ("store/a.rs", "use crate::machine::value::Json;\npub struct A(Json);"),
        ("store/b.rs", "// Not crate::api::mcp.\nuse super::A;\npub struct B(&'static A);"),
        ("machine/value.rs", "pub struct Json;\nstruct InstantNoodles;"),
        (
            "api/http/page.rs",
            "use crate::api::Shared;\n#[cfg(test)]\nmod tests { use crate::cli; }",
        ),
    ];
    assert_eq!(about(&fine), [""; 0]);
}
