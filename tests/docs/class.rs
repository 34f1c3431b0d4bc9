//! How a fenced block is tested. Its info string says so behind the language,
//! where a reader of the page does not see it; a block that is not run says why
//! in its first line, where everybody does.

use crate::page::Block;

/// What is done with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// `sh run`: a script that must succeed.
    Script(Needs),
    /// `console run`: commands behind `$`, each followed by what it prints.
    Console(Needs),
    /// `python run`: a program that must succeed.
    Python(Needs),
    /// `sh background`: a command that keeps running until the page ends.
    Background(Needs),
    /// `json client`: an MCP client's configuration; every server in it is
    /// opened.
    Client,
    /// `json example`: one JSON value.
    Json,
    /// `toml settings`: a settings file that the program takes.
    Settings,
    /// `sh manual`: run by people only, for the reason in its first line.
    Manual,
    /// `text` and `diff`: nothing that can be run.
    Illustration,
}

/// What must be installed for a block to run. Where it is not, the block is
/// left out, and the test says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub redis_server: bool,
    pub grpcio: bool,
}

/// How the first line of a block that is not run begins.
const REASON: &str = "# Needs ";

impl Class {
    /// The class of `block`, or what is wrong with its info string.
    pub fn of(block: &Block) -> Result<Class, String> {
        let words: Vec<&str> = block.info.split_whitespace().collect();
        let fail = |why: &str| Err(format!("line {}: '{}' {why}", block.line, block.info));
        let needs = match needs(words.get(2..).unwrap_or_default()) {
            Ok(needs) => needs,
            Err(word) => return fail(&format!("needs '{word}', which is not known")),
        };
        match (words.first().copied(), words.get(1).copied()) {
            (Some("sh"), Some("run")) => Ok(Class::Script(needs)),
            (Some("console"), Some("run")) => Ok(Class::Console(needs)),
            (Some("python"), Some("run")) => Ok(Class::Python(needs)),
            (Some("sh"), Some("background")) => Ok(Class::Background(needs)),
            (Some("json"), Some("client")) => Ok(Class::Client),
            (Some("json"), Some("example")) => Ok(Class::Json),
            (Some("toml"), Some("settings")) => Ok(Class::Settings),
            (Some("text" | "diff"), None) => Ok(Class::Illustration),
            (Some("sh" | "console"), Some("manual")) if block.body.starts_with(REASON) => {
                Ok(Class::Manual)
            }
            (Some("sh" | "console"), Some("manual")) => {
                fail(&format!("is not run, so its first line must say why: '{REASON}…'"))
            }
            _ => fail("says nothing about how it is tested; see docs/testing.md"),
        }
    }

    pub fn needs(&self) -> Needs {
        match self {
            Class::Script(needs)
            | Class::Console(needs)
            | Class::Python(needs)
            | Class::Background(needs) => *needs,
            Class::Client | Class::Json | Class::Settings | Class::Manual | Class::Illustration => {
                Needs::default()
            }
        }
    }
}

fn needs<'a>(words: &[&'a str]) -> Result<Needs, &'a str> {
    let mut needs = Needs::default();
    for word in words {
        match *word {
            "redis-server" => needs.redis_server = true,
            "grpcio" => needs.grpcio = true,
            unknown => return Err(unknown),
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(info: &str, body: &str) -> Result<Class, String> {
        Class::of(&Block { line: 7, info: info.to_owned(), body: body.to_owned() })
    }

    #[test]
    fn a_block_without_a_class_is_refused() {
        for info in ["", "sh", "sh perhaps", "python", "json", "toml", "rust", "text run"] {
            assert!(class(info, "").is_err(), "{info:?} passed");
        }
        assert!(class("sh run etcd", "").unwrap_err().contains("'etcd', which is not known"));
    }

    #[test]
    fn a_block_that_is_not_run_says_why() {
        assert!(class("sh manual", "rm -rf build\n").unwrap_err().contains("must say why"));
        assert_eq!(class("sh manual", "# Needs root.\nmount\n"), Ok(Class::Manual));
    }
}
