//! The folder in which a page's commands run. It looks like the root of a
//! clone and like the reader's home at once, with the program on the PATH. The
//! ports that pages name are replaced by free ones, so that the test runs beside
//! whatever the machine serves already.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::REPOSITORY;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcp-state-sidecar");

/// The first port of each range that pages name, and how many belong to it.
const RANGES: &[(u16, u16)] = &[(8000, 10), (9000, 10), (6379, 1)];
/// Free ranges are looked for from here on, below those that the system gives
/// to clients.
const PORTS_FROM: u16 = 20_000;
const PORTS_UNTIL: u16 = 32_000;

/// What pages may name from the root of the repository.
const FROM_THE_CLONE: &[&str] = &["proto", "cluster"];

/// The home of the reader in examples.
const EXAMPLE_HOME: &str = "/home/me";

pub struct Scratch {
    folder: tempfile::TempDir,
    /// The port that stands in for the first of each range.
    bases: Vec<u16>,
    commands: usize,
}

impl Scratch {
    pub fn new() -> Scratch {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut from = PORTS_FROM + (std::process::id() % 500) as u16 * 20;
        let bases = RANGES.iter().map(|(_, count)| {
            let base = free_range(from, *count);
            from = base + count;
            base
        });
        let scratch = Scratch { bases: bases.collect(), folder, commands: 0 };
        for name in ["bin", "work", "home", "log"] {
            fs::create_dir(scratch.path(name)).expect("a folder");
        }
        for name in FROM_THE_CLONE {
            let (from, to) = (Path::new(REPOSITORY).join(name), scratch.path("work").join(name));
            std::os::unix::fs::symlink(from, to).expect("a link to the repository");
        }
        scratch.write_program();
        scratch
    }

    /// One of the folders: `bin`, `work`, `home`, `log`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A name of its own for the output of the next command.
    pub fn next_log(&mut self) -> PathBuf {
        self.commands += 1;
        self.path("log").join(format!("{:03}", self.commands))
    }

    /// `bash` with `script`, in the state in which the block before left it:
    /// its folder and what it exported.
    pub fn bash(&self, script: &str) -> Command {
        let state = self.path("state");
        let save = format!("{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {}", state.display());
        self.bash_with("", script, &save)
    }

    /// `bash` with a script that ends with a server. SIGTERM goes to both, and
    /// bash must outlive the server to hand on its exit code.
    pub fn bash_for_server(&self, script: &str) -> Command {
        self.bash_with("trap : TERM", script, "")
    }

    fn bash_with(&self, before: &str, script: &str, after: &str) -> Command {
        let (state, script) = (self.path("state"), self.to_real(script));
        let state = state.display();
        let whole = format!(
            "set -euo pipefail\n[ ! -e {state} ] || . {state}\n{before}\n{script}\n{after}\n"
        );
        let mut command = self.command("bash");
        command.arg("-c").arg(whole);
        command
    }

    /// `program` in the page's folder, with nothing of the environment of the
    /// tests but what finds programs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", std::env::join_paths(paths).expect("a PATH"))
            .env("HOME", self.path("home"))
            .env("LANG", "C.UTF-8");
        command
    }

    /// A page's text with the ports and the home of this folder.
    pub fn to_real(&self, text: &str) -> String {
        let home = self.path("home").display().to_string();
        let text = text.replace(EXAMPLE_HOME, &home);
        replace_numbers(&text, |number| self.real_port(number))
    }

    /// What a command printed, with the ports and the home that the page names.
    pub fn to_page(&self, text: &str) -> String {
        let replaced = replace_numbers(text, |number| self.page_port(number));
        let (home, work) = (self.path("home"), self.path("work"));
        let replaced = replaced.replace(&work.display().to_string(), EXAMPLE_HOME);
        replaced.replace(&home.display().to_string(), EXAMPLE_HOME)
    }

    /// The ports of a cluster that `dev` starts, for MCP.
    pub fn cluster_ports(&self) -> [u16; 3] {
        [0, 1, 2].map(|number| self.bases[0] + number)
    }

    /// All ports on which something listens now.
    pub fn listening(&self) -> Vec<u16> {
        let of_range = |((_, count), base): (&(u16, u16), &u16)| *base..*base + *count;
        let all = RANGES.iter().zip(&self.bases).flat_map(of_range);
        all.filter(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).collect()
    }

    fn real_port(&self, number: u16) -> Option<u16> {
        let mut ranges = RANGES.iter().zip(&self.bases);
        ranges.find_map(|((first, count), base)| {
            let offset = number.checked_sub(*first).filter(|offset| offset < count)?;
            Some(base + offset)
        })
    }

    fn page_port(&self, number: u16) -> Option<u16> {
        let mut ranges = RANGES.iter().zip(&self.bases);
        ranges.find_map(|((first, count), base)| {
            let offset = number.checked_sub(*base).filter(|offset| offset < count)?;
            Some(first + offset)
        })
    }

    /// The program under its name. Where a command relies on a default port,
    /// this says which port stands in for it.
    fn write_program(&self) {
        let [mcp, grpc, redis] = self.bases[..] else { panic!("three ranges") };
        let script = format!(
            r#"#!/usr/bin/env bash
all=" $* "
has() {{ [[ $all == *" $1 "* ]]; }}
[ "${{STATE_BACKEND:-}}" != redis ] || export REDIS_URL="${{REDIS_URL:-redis://localhost:{redis}}}"
case "${{1:-}}" in
dev) set -- "$@" --base-port {mcp} --base-grpc-port {grpc} ;;
call) has --node || set -- "$@" --node http://127.0.0.1:{mcp} ;;
cluster) has --node || set -- "$@" --node 127.0.0.1:{grpc} ;;
serve) has --config || export SIDECAR_PORT="${{SIDECAR_PORT:-{mcp}}}" ;;
esac
exec {PROGRAM} "$@"
"#
        );
        let file = self.path("bin").join("mcp-state-sidecar");
        fs::write(&file, script).expect("the program");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its permissions");
    }
}

/// `text` with every whole number replaced for which there is a replacement.
fn replace_numbers(text: &str, replacement: impl Fn(u16) -> Option<u16>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..].find(|c: char| !c.is_ascii_digit());
        let end = end.map_or(rest.len(), |length| start + length);
        replaced.push_str(&rest[..start]);
        let number = &rest[start..end];
        // Digits inside a word are part of a hash or an id, not a port.
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let alone = !replaced.ends_with(in_word) && !rest[end..].starts_with(in_word);
        match number.parse().ok().filter(|_| alone).and_then(&replacement) {
            Some(other) => replaced.push_str(&other.to_string()),
            None => replaced.push_str(number),
        }
        rest = &rest[end..];
    }
    replaced.push_str(rest);
    replaced
}

/// The first of `count` ports in a row on which nobody listens.
fn free_range(from: u16, count: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut starts = (from..PORTS_UNTIL).step_by(count.into());
    starts.find(|start| (*start..start + count).all(is_free)).expect("free ports in a row")
}

/// The status line of a GET.
pub fn status_line(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_are_replaced() {
        let add = |number| (8000..8010).contains(&number).then(|| number + 1000);
        let replace = |text: &str| replace_numbers(text, add);
        assert_eq!(replace("host:8000/mcp and 8001"), "host:9000/mcp and 9001");
        assert_eq!(replace("wf-8000abc, a8000 and 80001"), "wf-8000abc, a8000 and 80001");
    }
}
