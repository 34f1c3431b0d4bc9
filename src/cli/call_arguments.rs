//! The arguments of a tool as they are written on a command line: one JSON object, or
//! NAME=TEXT and NAME:=JSON for each argument. Shells take quotes away, so an error says
//! what has arrived and how to quote it. What the arguments mean is for the node to decide.

use std::io::Read;

use serde_json::error::Category;
use serde_json::{Map, Value};

/// The longest JSON that is read from standard input, which is also the longest body that a
/// node accepts.
const INPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An error repeats no more of what has arrived than this.
const ECHO_CHARS_MAX: usize = 60;

/// Arguments that are right, for people who got them wrong.
const EXAMPLE: &str =
    r#"write for example: call state_get '{"key": "a"}' or: call state_get key=a"#;

/// Parses the words that follow the name of the tool.
///
/// # Errors
/// They are in no form that is understood; the error is a line for the user.
pub fn parse_arguments(words: &[String]) -> Result<Map<String, Value>, String> {
    match words {
        [] => Ok(Map::new()),
        [word] if word == "-" => from_input(),
        [word] if is_meant_as_json(word) => {
            json_object(word).map_err(|why| format!("arguments: {why}; {EXAMPLE}"))
        }
        [first, ..] if is_meant_as_json(first) => Err(format!(
            "arguments: got {} words, of which the first is {}: a shell splits JSON that is not \
             in single quotes; {EXAMPLE}",
            words.len(),
            echo(first)
        )),
        pairs => {
            let mut arguments = Map::new();
            for pair in pairs {
                let (name, value) = argument(pair)?;
                if arguments.insert(name.to_owned(), value).is_some() {
                    return Err(format!("arguments: {name} is given twice"));
                }
            }
            Ok(arguments)
        }
    }
}

/// Nothing else begins with these characters, and certainly not the name of an argument.
fn is_meant_as_json(word: &str) -> bool {
    word.trim_start().starts_with(['{', '[', '"', '\''])
}

fn from_input() -> Result<Map<String, Value>, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("standard input: {error}"))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(format!("standard input: more than {INPUT_BYTES_MAX} bytes"));
    }
    json_object(&text).map_err(|why| format!("standard input: {why}"))
}

/// One argument: its name and its value.
fn argument(pair: &str) -> Result<(&str, Value), String> {
    let wrong = || {
        format!(
            "arguments: got {}, expected a JSON object, or NAME=TEXT and NAME:=JSON for each \
             argument; {EXAMPLE}",
            echo(pair)
        )
    };
    let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value = parse(value).map_err(|why| {
                format!("arguments: {name}: {why}; for a text, write {name}=TEXT")
            })?;
            (name, value)
        }
        None => (name, Value::String(value.to_owned())),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(wrong());
    }
    Ok((name, value))
}

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    let kind = match parse(text)? {
        Value::Object(arguments) => return Ok(arguments),
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) | Value::Null => "a word",
    };
    Err(format!("got {}, which is {kind}, expected a JSON object", echo(text)))
}

/// Parses JSON. The error says what was received, and where that stops being JSON.
fn parse(text: &str) -> Result<Value, String> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let place = format!(" at line {} column {}", error.line(), error.column());
    let why = error.to_string().replace(&place, "");
    let got = echo(text);
    if text.trim().is_empty() {
        return Err("got nothing, expected a JSON object".to_owned());
    }
    if error.classify() == Category::Eof {
        return Err(format!("got {got}, which is JSON that ends too early ({why})"));
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let from = line.as_bytes().get(error.column().saturating_sub(1)..).unwrap_or_default();
    let from = echo(&String::from_utf8_lossy(from));
    let hint = match (text.contains('"'), text.contains('\'')) {
        (false, true) => "; JSON has double quotes, and the shell's single quotes around them",
        (false, false) => "; a shell removes double quotes that are not in single quotes",
        (true, _) => "",
    };
    Err(format!("got {got}, which is not JSON from {from} on ({why}{place}){hint}"))
}

/// What has arrived, exactly as it is, since its quotes matter.
fn echo(text: &str) -> String {
    let shown: String = text.chars().take(ECHO_CHARS_MAX).collect();
    let more = if text.chars().count() > ECHO_CHARS_MAX { "…" } else { "" };
    let shown: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{shown}{more}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(words: &[&str]) -> Result<Value, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse_arguments(&words).map(Value::Object)
    }

    #[test]
    fn an_object_or_names_with_values() {
        assert_eq!(parsed(&[]).unwrap(), json!({}));
        assert_eq!(parsed(&[r#" {"key": "a"} "#]).unwrap(), json!({"key": "a"}));
        let words = ["key=a=b", "value:={\"n\": 1.50}", "tags:=[\"x\"]", "note="];
        let expected = json!({"key": "a=b", "value": {"n": 1.5}, "tags": ["x"], "note": ""});
        let got = parsed(&words).unwrap();
        assert_eq!(got["value"].to_string(), r#"{"n":1.50}"#, "numbers are kept as written");
        assert_eq!((&got["key"], &got["tags"]), (&expected["key"], &expected["tags"]));
        assert_eq!(got["note"], "");
    }

    #[test]
    fn wrong_quoting_is_shown_with_the_place_and_the_right_form() {
        for (word, parts) in [
            (
                "{key:a}",
                &["`{key:a}`", "from `key:a}` on", "column 2", "removes double quotes"][..],
            ),
            ("{'key':'a'}", &["from `'key':'a'}` on", "JSON has double quotes"]),
            (r#"{"key":"a""#, &[r#"`{"key":"a"`"#, "ends too early"]),
            (r#"{"key":a}"#, &["from `a}` on", "column 8"]),
            (r#"{"key":"a"} x"#, &["from `x` on", "trailing characters"]),
            ("{\n\"key\": a}", &["from `a}` on", "line 2"]),
            ("[1]", &["is an array", "expected a JSON object"]),
            ("'{}'", &["from `'{}'` on"]),
            ("key", &["got `key`", "NAME=TEXT"]),
            ("=a", &["got `=a`", "NAME=TEXT"]),
            ("", &["got ``", "NAME=TEXT"]),
        ] {
            let error = parsed(&[word]).expect_err(word);
            for part in parts {
                assert!(error.contains(part), "{word}: {part:?} is not in: {error}");
            }
            assert!(error.contains("state_get '{\"key\": \"a\"}'"), "{error}");
            assert!(error.contains("state_get key=a"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = parsed(&["{key:", "a}"]).unwrap_err();
        assert!(error.contains("got 2 words") && error.contains("splits JSON"), "{error}");
        let error = parsed(&["limit:=ten"]).unwrap_err();
        assert!(error.contains("limit: got `ten`") && error.contains("limit=TEXT"), "{error}");
        let error = parsed(&["key=a", "key=b"]).unwrap_err();
        assert!(error.contains("key is given twice"), "{error}");
        let long = parsed(&[&format!("{{{}", "x".repeat(100_000))]).unwrap_err();
        assert!(long.len() < 600, "{} bytes", long.len());
    }
}
