//! The format of a story.
//!
//! ```text
//! # What happens, in a sentence.
//!
//! call state_set {"key": "k", "value": 1}
//!   {"ok":true,"revision":1}
//!
//! let run = call workflow_create {"name": "etl"}
//!   {"run_id":"wf-…","name":"etl","status":"created"}
//!
//! call workflow_claim {"run_id": "$run.run_id", "agent_id": "a"}
//!   …
//!
//! advance 2.2s
//!
//! sweep
//!   removed 1
//! ```
//!
//! An indented line is the reply to the line above it. An error is shown as
//! `error CODE: message`. Further directives: `start NAME call …` begins a call that
//! waits, and `join NAME` shows its reply; `as guest` and `as admin` change the
//! caller. `$name.field` stands for a field of a named reply. `*N` after a string
//! repeats it: `"key": "x"*1025`.

/// One directive, with the comments and blank lines before it.
pub struct Line {
    pub before: String,
    /// The line as it was written, for the transcript.
    pub source: String,
    pub action: Action,
}

pub enum Action {
    Call { name: Option<String>, tool: String, arguments: String },
    Start { name: String, tool: String, arguments: String },
    Join { name: String },
    AdvanceMs(u64),
    Sweep,
    As { admin: bool },
}

/// The directives of a story, and the text after the last one.
pub fn parse(story: &str) -> Result<(Vec<Line>, String), String> {
    let mut lines = Vec::new();
    let mut before = String::new();
    for (at, line) in story.lines().enumerate() {
        if line.starts_with("  ") {
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            before.push_str(line);
            before.push('\n');
            continue;
        }
        let action = action(line).ok_or_else(|| format!("line {}: '{line}'", at + 1))?;
        lines.push(Line { before: std::mem::take(&mut before), source: line.into(), action });
    }
    Ok((lines, before))
}

fn action(line: &str) -> Option<Action> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "call" => call(rest).map(|(tool, arguments)| Action::Call { name: None, tool, arguments }),
        "let" => {
            let (name, rest) = rest.split_once(" = call ")?;
            let (tool, arguments) = call(rest)?;
            Some(Action::Call { name: Some(name.into()), tool, arguments })
        }
        "start" => {
            let (name, rest) = rest.split_once(" call ")?;
            let (tool, arguments) = call(rest)?;
            Some(Action::Start { name: name.into(), tool, arguments })
        }
        "join" => Some(Action::Join { name: rest.into() }),
        "advance" => {
            let seconds: f64 = rest.strip_suffix('s')?.parse().ok()?;
            Some(Action::AdvanceMs((seconds * 1000.0).round() as u64))
        }
        "sweep" => Some(Action::Sweep),
        "as" => match rest {
            "guest" => Some(Action::As { admin: false }),
            "admin" => Some(Action::As { admin: true }),
            _ => None,
        },
        _ => None,
    }
}

fn call(text: &str) -> Option<(String, String)> {
    let (tool, arguments) = text.split_once(' ')?;
    Some((tool.into(), arguments.into()))
}

/// Expands repeated strings: `"x"*3` becomes `"xxx"`; `"["*3` within `raw` brackets
/// stays as it is.
pub fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\"*") {
        let digits: String = rest[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        let opened = rest[..at].rfind('"');
        match (opened, digits.parse::<usize>()) {
            (Some(opened), Ok(times)) => {
                out.push_str(&rest[..=opened]);
                out.push_str(&rest[opened + 1..at].repeat(times));
                out.push('"');
                rest = &rest[at + 2 + digits.len()..];
            }
            _ => {
                out.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    out
}
