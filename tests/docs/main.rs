//! The documentation is true: every command in it runs, what it shows as
//! output is what comes out, its links and file names lead somewhere, and its
//! tables of tools and settings are complete. `docs/testing.md` explains how a
//! page says what is to be run.
//!
//! | file | holds |
//! |---|---|
//! | `page` | a Markdown page as blocks, headings and links |
//! | `class` | how a fenced block is classified, and which classes there are |
//! | `page_run` | the blocks of one page, run in order in one scratch folder |
//! | `scratch` | that folder: the program on the PATH, free ports in place of the usual ones |
//! | `process` | one command with a deadline, or one that keeps running |
//! | `expected` | output compared with what a page shows |
//! | `mcp` | an MCP client that opens what a configuration names |
//! | `references` | links, file names, tests and options that a page names |
//! | `glossary` | the words that types are named by |
//! | `tables` | the tables that are generated from the program |
//!
//! `PAGE=operating` runs the commands of one page alone, and `UPDATE_DOCS=1`
//! writes the generated tables.

mod class;
mod expected;
mod glossary;
mod mcp;
mod page;
mod page_run;
mod process;
mod references;
mod scratch;
mod tables;

use std::path::Path;

use page::Page;
use support::generated;

/// The repository, in which all pages are.
pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Fails with all complaints at once, so that one run shows everything that
/// is wrong.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

#[test]
fn every_fenced_block_says_how_it_is_tested() {
    let classify = |page: &Page| -> Vec<String> {
        let of_block = |block: &page::Block| class::Class::of(block).err();
        let name = |complaint: String| format!("{}: {complaint}", page.name);
        page.blocks.iter().filter_map(of_block).map(name).collect()
    };
    none(page::all().iter().flat_map(classify).collect());
}

#[test]
fn every_command_does_what_the_page_says() {
    let wanted = std::env::var("PAGE").ok();
    let is_wanted = |page: &&Page| wanted.as_ref().is_none_or(|wanted| page.name.contains(wanted));
    none(page::all().iter().filter(is_wanted).flat_map(page_run::run).collect());
}

#[test]
fn every_link_leads_somewhere() {
    let pages = page::all();
    none(pages.iter().flat_map(|page| references::broken_links(page, &pages)).collect());
}

#[test]
fn every_file_test_and_command_that_is_named_exists() {
    none(page::all().iter().flat_map(references::unknown_names).collect());
}

#[test]
fn the_index_lists_every_page() {
    let index = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/README.md")).unwrap();
    let listed = |page: &&Page| {
        let file = page.name.strip_prefix("docs/");
        file.is_some_and(|file| file != "README.md" && !index.contains(&format!("]({file})")))
    };
    let pages = page::all();
    let missing = pages.iter().filter(listed).map(|page| format!("{} is missing", page.name));
    none(missing.collect());
}

#[test]
fn the_map_has_every_module() {
    let pages = page::all();
    let is_map = |page: &&Page| page.name == "docs/architecture.md";
    none(pages.iter().filter(is_map).flat_map(references::unmapped_modules).collect());
}

#[test]
fn the_glossary_has_every_noun_of_a_type() {
    none(glossary::unlisted_nouns());
}

#[test]
fn the_table_of_settings_is_the_list_that_the_program_reads() {
    generated::check("docs/configuration.md", "settings", &tables::settings());
    none(tables::irregular_settings());
}

#[test]
fn the_tables_of_tools_are_what_clients_are_told() {
    let tools = mcp::tools();
    let page = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/tools.md")).unwrap();
    for group in tables::groups(&page) {
        generated::check("docs/tools.md", &group, &tables::tools(&tools, &group));
    }
    none(tables::tools_without_a_group(&tools, &page));
}
