//! What a page refers to: other pages, files of the repository, tests, and
//! commands of the program. All of it must exist.

use std::fs;
use std::path::{Path, PathBuf};

use crate::REPOSITORY;
use crate::page::Page;

/// Inline code that begins like this names something in the repository.
const FOLDERS: &[&str] =
    &["src/", "tests/", "docs/", "scripts/", "./scripts/", "cluster/", "proto/", ".ci/"];

/// Links of `page` that lead nowhere. Addresses on the web are not fetched.
pub fn broken_links(page: &Page, pages: &[Page]) -> Vec<String> {
    let broken = |(line, target): &(usize, String)| {
        let problem = problem_of_link(page, target, pages)?;
        Some(format!("{}:{line}: {target}: {problem}", page.name))
    };
    page.links.iter().filter_map(broken).collect()
}

fn problem_of_link(page: &Page, target: &str, pages: &[Page]) -> Option<&'static str> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(f, a)| (f, Some(a)));
    let folder = Path::new(&page.name).parent().unwrap_or(Path::new(""));
    let path = if file.is_empty() { PathBuf::from(&page.name) } else { plain(&folder.join(file)) };
    if !Path::new(REPOSITORY).join(&path).exists() {
        return Some("there is no such file");
    }
    let anchor = anchor?;
    match pages.iter().find(|page| Path::new(&page.name) == path) {
        Some(target) if target.anchors.iter().any(|known| known == anchor) => None,
        Some(_) => Some("the page has no such heading"),
        None => Some("only pages have headings to lead to"),
    }
}

/// The path without its `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Files, tests and commands that `page` names and that do not exist.
pub fn unknown_names(page: &Page) -> Vec<String> {
    let inline = page.inline_code.iter().map(|(line, code)| (*line, code.as_str()));
    let fenced = page.blocks.iter().flat_map(|block| {
        (block.line + 1..).zip(block.body.lines()).filter(|_| block.info.starts_with("sh"))
    });
    let mut unknown = Vec::new();
    for (line, code) in inline.chain(fenced) {
        let problems = [unknown_file(code), unknown_test(code), unknown_command(code)];
        let problems = problems.into_iter().flatten();
        unknown.extend(problems.map(|problem| format!("{}:{line}: {problem}", page.name)));
    }
    unknown
}

/// The file that `code` names, if it does and there is none.
fn unknown_file(code: &str) -> Option<String> {
    let word = code.split_whitespace().next()?;
    let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder));
    let is_pattern = word.contains(['*', '<', '…', '{']);
    let path = word.trim_end_matches([':', ',', ';']);
    (is_path && !is_pattern && !Path::new(REPOSITORY).join(path).exists())
        .then(|| format!("there is no file {path}"))
}

/// The test that `--test NAME FILTER` asks for, if there is none.
fn unknown_test(code: &str) -> Option<String> {
    let mut words = code.split_whitespace().skip_while(|word| *word != "--test").skip(1);
    let name = words.next()?;
    let folder = Path::new(REPOSITORY).join("tests").join(name);
    let file = folder.with_extension("rs");
    if !folder.join("main.rs").exists() && !file.exists() {
        return Some(format!("there is no test {name}"));
    }
    let filter = words.next().filter(|word| !word.starts_with(['-', '#']))?;
    let mut sources = Vec::new();
    collect_sources(&folder, &mut sources);
    sources.push(file);
    let part = filter.rsplit("::").next().unwrap_or(filter);
    let is_meant = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let names = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let mut after = names.clone().skip(1);
        let declares = |name: &str| {
            let next = after.next().unwrap_or_default();
            matches!(name, "fn" | "mod") && next.contains(part)
        };
        path.to_string_lossy().contains(part)
            || names.clone().any({
                let mut declares = declares;
                move |name| declares(name)
            })
    };
    (!sources.iter().any(is_meant)).then(|| format!("--test {name} has nothing named {filter}"))
}

fn collect_sources(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => collect_sources(&path, sources),
            false => sources.push(path),
        }
    }
}

/// The command of the program that `code` names, if there is none.
fn unknown_command(code: &str) -> Option<String> {
    let (_, arguments) = code.split_once("mcp-state-sidecar ")?;
    let command = arguments.split_whitespace().next()?;
    let is_name = command.chars().all(|c| c.is_ascii_lowercase());
    let known = commands();
    (is_name && !known.iter().any(|name| name == command))
        .then(|| format!("mcp-state-sidecar has no command {command}"))
}

/// Modules of the crate that the map of the architecture leaves out.
pub fn unmapped_modules(page: &Page) -> Vec<String> {
    const OUTSIDE: &[&str] = &["bin", "lib.rs", "main.rs", "mod.rs"];
    let is_mapped = |path: &str| page.inline_code.iter().any(|(_, code)| code == path);
    let mut unmapped = Vec::new();
    for folder in ["src", "src/store", "src/store/raft"] {
        for entry in fs::read_dir(Path::new(REPOSITORY).join(folder)).expect("sources").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.path().is_dir();
            let is_listed_by_folder = folder == "src/store/raft" && !is_folder;
            let path = format!("{folder}/{name}{}", if is_folder { "/" } else { "" });
            if !OUTSIDE.contains(&&*name) && !is_listed_by_folder && !is_mapped(&path) {
                unmapped.push(format!("{}: {path} is missing", page.name));
            }
        }
    }
    unmapped
}

/// The program's commands, as its help lists them.
fn commands() -> &'static [String] {
    static COMMANDS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    COMMANDS.get_or_init(|| {
        let program = env!("CARGO_BIN_EXE_mcp-state-sidecar");
        let help = std::process::Command::new(program).arg("--help").output().expect("the help");
        let help = String::from_utf8(help.stdout).expect("text");
        let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
        let listed = listed.take_while(|line| !line.trim().is_empty());
        let names = listed.filter_map(|line| {
            let indented = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
            indented.split_whitespace().next()
        });
        names.map(str::to_owned).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_found() {
        assert!(unknown_file("src/lib.rs").is_none());
        assert!(unknown_file("src/no_such_module.rs").is_some());
        assert!(unknown_test("cargo test --test docs every_link_leads_somewhere").is_none());
        assert!(unknown_test("cargo test --test docs no_such_function").is_some());
        assert!(unknown_test("cargo test --test no_such_test").is_some());
        assert!(unknown_command("mcp-state-sidecar serve --port 1").is_none());
        assert!(unknown_command("mcp-state-sidecar srve").is_some());
    }
}
