//! The parts of pages that are generated. They stand between two comments, and a
//! test compares them with what they must be, or writes them.

use std::fs;
use std::path::Path;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Compares the part `name` of `page` with what it must be, or writes it where
/// the caller asks for that with `UPDATE_DOCS`.
pub fn check(page: &str, name: &str, part: &str) {
    let path = Path::new(REPOSITORY).join(page);
    let text = fs::read_to_string(&path).expect("a page");
    let (start, end) = (format!("<!-- generated: {name} -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{page}: no {start}"));
    let (present, after) = rest.split_once(end).unwrap_or_else(|| panic!("{page}: no {end}"));
    let part = format!("\n{part}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, [before, &start, &part, end, after].concat()).expect("the page");
        return;
    }
    let differs = || part.lines().zip(present.lines()).find(|(new, old)| new != old);
    assert!(
        present == part,
        "{page}: the part {name} is out of date; this test writes it with UPDATE_DOCS=1. The \
         first difference (expected, present): {:?}",
        differs()
    );
}
