//! The glossary of `docs/architecture.md` has every noun that a type is named
//! by, so that a reader can look up what a name means and a writer finds the
//! word that is used already.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::REPOSITORY;

/// Commands are named by what they ask for, and replies by what was done; the
/// page says so, and does not list each.
const NAMED_BY_VERBS: &[&str] = &["machine/command.rs", "machine/reply.rs"];

/// As in SQL's `AS OF`, which ends in no noun.
const WITHOUT_NOUN: &[&str] = &["AsOf"];

/// Generated code, and unit tests.
const LEFT_OUT: &[&str] = &["proto/generated", "tests", "tests.rs"];

/// Types whose noun is not in the glossary.
pub fn unlisted_nouns() -> Vec<String> {
    let words = glossary();
    let mut unlisted = Vec::new();
    let mut sources = Vec::new();
    collect(&Path::new(REPOSITORY).join("src"), &mut sources);
    for (path, text) in sources {
        let is_exempt = NAMED_BY_VERBS.iter().any(|end| path.ends_with(end));
        for name in types(&text).filter(|_| !is_exempt) {
            let noun = last_word(name).to_lowercase();
            let singular = noun.strip_suffix('s').unwrap_or(&noun).to_owned();
            let is_participle = noun.ends_with("ed");
            let is_known = words.contains(&noun) || words.contains(&singular) || is_participle;
            if !is_known && !WITHOUT_NOUN.contains(&name) {
                unlisted.push(format!("{path}: {name} is named by '{noun}'"));
            }
        }
    }
    unlisted
}

/// The words in bold of the page's glossary.
fn glossary() -> BTreeSet<String> {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/architecture.md")).unwrap();
    let (_, glossary) = page.split_once("\n## Glossary\n").expect("a glossary");
    glossary.split("**").skip(1).step_by(2).map(str::to_lowercase).collect()
}

fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| !LEFT_OUT.iter().any(|end| path.ends_with(end))) {
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path.display().to_string(), text));
        }
    }
}

/// The types that a file shows to other files.
fn types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("pub").filter(|rest| rest.starts_with([' ', '(']))?;
        let rest = rest
            .strip_prefix('(')
            .map_or(rest, |inner| inner.split_once(')').map_or("", |(_, rest)| rest));
        let mut words = rest.split_whitespace();
        let is_type = matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
        let name = words.next().filter(|_| is_type)?;
        let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        Some(&name[..end]).filter(|name| name.starts_with(char::is_uppercase))
    })
}

/// `LeaseRow` is named by its last word.
fn last_word(name: &str) -> &str {
    let start = name.rfind(char::is_uppercase).unwrap_or(0);
    &name[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_and_their_nouns_told() {
        let text = "pub struct LeaseRow {\npub(super) enum Kind<T> {\nstruct Hidden;\n    pub trait Store: Send {\n";
        assert_eq!(types(text).collect::<Vec<_>>(), ["LeaseRow", "Kind", "Store"]);
        assert_eq!(last_word("LeaseRow"), "Row");
        assert_eq!(last_word("Store"), "Store");
    }
}
