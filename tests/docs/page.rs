//! A Markdown page, as far as these tests read it: fenced blocks, headings,
//! links and inline code.

use std::fs;
use std::path::Path;

use crate::REPOSITORY;

/// The folders that hold pages; the root's own are among them.
const FOLDERS: &[&str] = &["", "docs", "cluster"];

pub struct Page {
    /// Its path in the repository.
    pub name: String,
    pub blocks: Vec<Block>,
    /// The anchors of its headings.
    pub anchors: Vec<String>,
    /// Link targets outside code, each with its line.
    pub links: Vec<(usize, String)>,
    /// Inline code, each with its line.
    pub inline_code: Vec<(usize, String)>,
}

/// One fenced block.
pub struct Block {
    /// The line of its fence, counted from one.
    pub line: usize,
    /// What follows the opening fence.
    pub info: String,
    pub body: String,
}

/// Every page of the repository, in a fixed order.
pub fn all() -> Vec<Page> {
    let mut names = Vec::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(Path::new(REPOSITORY).join(folder)) else { continue };
        for entry in entries {
            let file = entry.expect("a folder's entry").file_name();
            let file = file.to_str().expect("a name in UTF-8");
            if file.ends_with(".md") {
                names.push(if folder.is_empty() {
                    file.into()
                } else {
                    format!("{folder}/{file}")
                });
            }
        }
    }
    names.sort();
    assert!(names.len() > 10, "the pages are missing: {names:?}");
    names.into_iter().map(read).collect()
}

fn read(name: String) -> Page {
    let text = fs::read_to_string(Path::new(REPOSITORY).join(&name)).expect("a page");
    parse(name, &text)
}

fn parse(name: String, text: &str) -> Page {
    let mut page = Page {
        name,
        blocks: Vec::new(),
        anchors: Vec::new(),
        links: Vec::new(),
        inline_code: Vec::new(),
    };
    let mut open: Option<Block> = None;
    for (line, content) in (1..).zip(text.lines()) {
        match (&mut open, content.trim_start().strip_prefix("```")) {
            (Some(block), None) => {
                block.body.push_str(content);
                block.body.push('\n');
            }
            (Some(_), Some(_)) => page.blocks.extend(open.take()),
            (None, Some(info)) => {
                open = Some(Block { line, info: info.trim().to_owned(), body: String::new() });
            }
            (None, None) => page.read_prose(line, content),
        }
    }
    assert!(open.is_none(), "{}: a fenced block is never closed", page.name);
    page
}

impl Page {
    fn read_prose(&mut self, line: usize, content: &str) {
        let heading = content.trim_start_matches('#');
        if heading.len() < content.len() && heading.starts_with(' ') {
            self.add_anchor(heading.trim());
        }
        // Text between backticks is every second piece.
        let pieces: Vec<&str> = content.split('`').collect();
        let code = pieces.iter().skip(1).step_by(2).map(|code| (line, (*code).to_owned()));
        self.inline_code.extend(code);
        // A link's text may hold code, so links are looked for in the whole line.
        for piece in content.split("](").skip(1) {
            if let Some((target, _)) = piece.split_once(')') {
                self.links.push((line, target.to_owned()));
            }
        }
    }

    /// As GitHub makes them: lower case, spaces as dashes, other signs left
    /// out, and a number behind a heading that is repeated.
    fn add_anchor(&mut self, heading: &str) {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor: String = heading.to_lowercase().chars().filter(kept).collect();
        let anchor = anchor.replace(' ', "-");
        let repeated = |known: &&String| {
            let rest = known.strip_prefix(&anchor);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let before = self.anchors.iter().filter(repeated).filter(|known| {
            let rest = &known[anchor.len()..];
            rest.is_empty() || rest[1..].parse::<usize>().is_ok()
        });
        let anchor = match before.count() {
            0 => anchor,
            number => format!("{anchor}-{number}"),
        };
        self.anchors.push(anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_blocks_headings_and_links() {
        let text = "# The `first` one!\n\nSee [here](docs/a.md#b) and `x y`.\n\n```sh run\necho 1\n\
            # not a heading\n```\n\n## Again\n\n## Again\n";
        let page = parse("a.md".to_owned(), text);
        assert_eq!(page.anchors, ["the-first-one", "again", "again-1"]);
        assert_eq!(page.links, [(3, "docs/a.md#b".to_owned())]);
        assert_eq!(page.inline_code, [(1, "first".to_owned()), (3, "x y".to_owned())]);
        assert_eq!(page.blocks.len(), 1);
        assert_eq!(page.blocks[0].info, "sh run");
        assert_eq!(page.blocks[0].body, "echo 1\n# not a heading\n");
    }
}
