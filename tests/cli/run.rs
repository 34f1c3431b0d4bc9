//! What the programs print: help, settings, and one line for each wrong usage.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use support::command_line::{HTTP_PROGRAM, PROGRAM, command, run, text};

/// One line on standard error, nothing on standard output, exit code 2.
fn refused(env: &[(&str, &str)], args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), env, args);
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{args:?}: {line}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "it left files behind");
    line
}

#[test]
fn help_and_version_go_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let commands = ["serve", "dev", "cluster", "connect", "call", "export", "import"];
    let of_commands = commands.map(|command| vec![command, "--help"]);
    for args in std::iter::once(vec!["--help"]).chain(of_commands) {
        let output = run(dir.path(), &[], &args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains("Usage:"), "{args:?}");
    }
    let help = text(&run(dir.path(), &[], &["--help"]).stdout);
    for part in ["serve", "dev", "connect", "--raft-addr", "SIDECAR_RAFT_ADDR", "DB_PATH"] {
        assert!(help.contains(part), "{part} is not in the help");
    }
    assert!(!help.contains("--token "), "secrets have no flags");
    let version = text(&run(dir.path(), &[], &["--version"]).stdout);
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let output = command(&HTTP_PROGRAM, dir.path()).arg("--help").output().unwrap();
    assert!(text(&output.stdout).contains("--raft-addr"));
}

#[test]
fn print_config_says_where_values_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.toml");
    std::fs::write(&file, "cluster_name = \"ours\"\n").unwrap();
    let env = [("SIDECAR_PORT", "4000"), ("SIDECAR_TOKEN", "hunter2-hunter2")];
    let args = ["--config", "some.toml", "serve", "--print-config", "--log", "warn"];
    let output = run(dir.path(), &env, &args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let line = |name: &str| {
        let line = printed.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is not in\n{printed}")).to_owned()
    };
    assert!(line("SIDECAR_PORT").ends_with("environment"));
    assert!(line("SIDECAR_CLUSTER_NAME").ends_with("file some.toml"));
    assert!(line("SIDECAR_LOG").ends_with("flag"));
    assert!(line("SIDECAR_HOST").ends_with("default"));
    assert!(line("SIDECAR_TOKEN").contains("(set)") && !printed.contains("hunter2"));
    assert!(!dir.path().join("state_sidecar.db").exists(), "it only prints");
}

#[test]
fn print_config_also_shows_settings_that_do_not_fit_together() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &[("STATE_BACKEND", "raft")], &["--print-config"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("STATE_BACKEND"));
    assert!(text(&output.stderr).contains("SIDECAR_NODE_ID: not set"));
}

#[test]
fn wrong_settings_stop_the_start_with_one_line() {
    let line = refused(&[("SIDECAR_PORT", "eighty")], &["serve"]);
    assert!(line.contains("SIDECAR_PORT: got \"eighty\", expected a port"), "{line}");
    let line = refused(&[], &["serve", "--port", "eighty"]);
    assert!(line.contains("--port: got \"eighty\""), "{line}");
    let line = refused(&[("STATE_BACKEND", "redis"), ("REDIS_URL", "http://h")], &[]);
    assert!(line.contains("expected redis://"), "{line}");
    let line = refused(&[], &["--config", "nowhere.toml"]);
    assert!(line.contains("nowhere.toml: cannot read"), "{line}");
    let cluster = [
        ("STATE_BACKEND", "raft"),
        ("SIDECAR_NODE_ID", "1"),
        ("SIDECAR_MEMBERS", "1=127.0.0.1:9"),
        ("SIDECAR_DATA_DIR", "data"),
    ];
    let line = refused(&cluster, &["stdio"]);
    assert!(line.contains("runs as `serve`"), "{line}");
    let line = refused(&[], &["--port", "1", "dev"]);
    assert!(line.contains("dev: accepts no settings"), "{line}");
    let both = [("SIDECAR_TOKEN", "12345678"), ("SIDECAR_TOKEN_FILE", "token")];
    for args in [&["serve"][..], &["call", "sidecar_health"]] {
        let line = refused(&both, args);
        assert!(line.contains("SIDECAR_TOKEN_FILE: set beside SIDECAR_TOKEN"), "{line}");
    }
}

#[test]
fn arguments_in_wrong_quotes_are_shown_with_the_right_ones() {
    for (words, part) in [
        (&["{key:a}"][..], "not JSON from `key:a}` on"),
        (&["{'key':'a'}"], "JSON has double quotes"),
        (&["{\"key\":\"a\""], "ends too early"),
        (&["{key:", "a}"], "splits JSON"),
        (&["[]"], "expected a JSON object"),
        (&["key"], "NAME=TEXT"),
        (&["limit:=ten"], "limit: got `ten`"),
    ] {
        let line = refused(&[], &[&["call", "state_get"], words].concat());
        assert!(line.contains("arguments: ") && line.contains(part), "{words:?}: {line}");
    }
    let mut call = command(&PROGRAM, Path::new("/"));
    call.args(["call", "state_get", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut call = call.spawn().unwrap();
    call.stdin.take().unwrap().write_all(b"{key: 1}").unwrap();
    let line = text(&call.wait_with_output().unwrap().stderr);
    assert!(line.contains("standard input: got `{key: 1}`"), "{line}");
}

#[test]
fn a_missing_setting_is_reported_with_the_misspelt_one() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("STATE_BACKEND", "raft"), ("SIDECAR_NODE", "1")];
    let output = run(dir.path(), &env, &["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("SIDECAR_NODE: no such setting, ignored; did you mean"), "{errors}");
    assert!(errors.contains("SIDECAR_NODE_ID: not set"), "{errors}");
}

#[test]
fn print_config_tells_what_it_ignored_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("SIDECAR_PROT", "1"), ("SIDECAR_PORT", "tcp://10.0.0.1:8000")];
    let output = run(dir.path(), &env, &["--print-config"]);
    assert_eq!(output.status.code(), Some(0));
    let errors = text(&output.stderr);
    assert!(errors.contains("warning: SIDECAR_PROT: no such setting"), "{errors}");
    assert!(errors.contains("did you mean SIDECAR_PORT?"), "{errors}");
    assert!(errors.contains("note: SIDECAR_PORT: got \"tcp://10.0.0.1:8000\""), "{errors}");
    let printed = text(&output.stdout);
    let port = printed.lines().find(|line| line.starts_with("SIDECAR_PORT ")).unwrap();
    assert!(port.contains("8000") && port.ends_with("default"), "{port}");
}

#[test]
fn a_node_that_cannot_be_reached_is_one_line_and_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody can listen on port 0.
    for args in [
        &["call", "sidecar_health", "--node", "http://127.0.0.1:0"][..],
        &["call", "sidecar_health", "--node", "127.0.0.1:0"],
        &["cluster", "status", "--node", "127.0.0.1:0"],
        &["cluster", "snapshot", "--node", "http://127.0.0.1:0"],
        &["cluster", "transfer", "--wait", "0", "--node", "127.0.0.1:0"],
    ] {
        let output = run(dir.path(), &[], args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let line = text(&output.stderr);
        assert_eq!(line.trim_end().lines().count(), 1, "{args:?}");
        assert!(line.contains("cannot reach") && line.contains("127.0.0.1:0"), "{line}");
        assert!(!line.contains("transport error"), "{line}");
    }
    for args in [
        &["call", "sidecar_health", "--node"][..],
        &["connect"],
        &["cluster", "status", "--node"],
        &["cluster", "add", "4"],
        &["export", "--node"],
    ] {
        let output = run(dir.path(), &[], &[args, &["::1:9000"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let errors = text(&output.stderr);
        assert!(errors.contains("an IPv6 address needs brackets"), "{args:?}: {errors}");
    }
}
