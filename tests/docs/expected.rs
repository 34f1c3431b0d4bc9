//! Output compared with what a page shows. `…` stands for anything within a
//! line, and a line that is `…` alone for any number of lines.

/// One command of a `console` block, and what the page shows below it.
pub struct Step {
    pub command: String,
    pub output: Vec<String>,
}

/// The steps of a `console` block: each command begins with `$ `, and a line
/// that ends with a backslash goes on in the next one.
pub fn steps(body: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continues = false;
    for line in body.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) if !continues => {
                steps.push(Step { command: command.to_owned(), output: Vec::new() });
                continues = command.ends_with('\\');
            }
            (_, Some(step)) if continues => {
                step.command.push('\n');
                step.command.push_str(line);
                continues = line.ends_with('\\');
            }
            (_, Some(step)) => step.output.push(line.to_owned()),
            (_, None) => return Err("a console block begins with '$ ' and a command".to_owned()),
        }
    }
    Ok(steps)
}

/// Whether `actual` is what the page shows.
pub fn matches(shown: &[String], actual: &str) -> bool {
    let actual: Vec<&str> = actual.lines().map(str::trim_end).collect();
    let shown: Vec<&str> = shown.iter().map(|line| line.trim_end()).collect();
    lines_match(&shown, &actual)
}

fn lines_match(shown: &[&str], actual: &[&str]) -> bool {
    match shown.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        Some((first, rest)) => match actual.split_first() {
            Some((line, further)) => line_matches(first, line) && lines_match(rest, further),
            None => false,
        },
    }
}

fn line_matches(shown: &str, actual: &str) -> bool {
    // How wide a column is depends on what is in it.
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, actual) = (squeeze(shown), squeeze(actual));
    let mut parts = shown.split('…');
    let Some(mut rest) = actual.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, further)) => rest = further,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[&str], actual: &str) -> bool {
        matches(&lines.iter().map(|line| line.to_string()).collect::<Vec<_>>(), actual)
    }

    #[test]
    fn output_must_be_what_is_shown() {
        assert!(shown(&["a", "b"], "a\nb\n"));
        assert!(!shown(&["a", "b"], "a\nb\nc\n"), "a line more passed");
        assert!(!shown(&["a", "b"], "a\n"), "a line less passed");
        assert!(!shown(&["a"], "b\n"));
        assert!(!shown(&[], "a\n"));
    }

    #[test]
    fn an_ellipsis_stands_for_anything_in_its_place() {
        assert!(shown(&["a … c"], "a b c\n"));
        assert!(!shown(&["a … c"], "a b d\n"));
        assert!(shown(&["{", "…", "}"], "{\n1\n2\n}\n"));
        assert!(shown(&["…"], ""));
        assert!(!shown(&["{", "…", "}"], "{\n1\n"));
    }

    #[test]
    fn a_command_may_go_on_in_the_next_line() {
        let steps = steps("$ one \\\n    two\nshown\n$ three\n").unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].command, "one \\\n    two");
        assert_eq!(steps[0].output, ["shown"]);
        assert!(super::steps("shown\n").is_err());
    }
}
