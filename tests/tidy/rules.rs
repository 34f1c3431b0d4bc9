//! The rules, each over the sources of the whole crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Module, Source, read_all};
use crate::{COMMON_NAMES, LAYERS, MACHINE_CRATES, NOT_IN_MACHINE};

/// Every complaint about the crate, sentence by sentence.
pub fn complaints(files: &[(String, String)], crates: &[String]) -> Vec<String> {
    let all = read_all(files);
    let mut found = Vec::new();
    for source in all.values() {
        let path = &source.path;
        if !source.text.starts_with("//!") {
            found.push(format!("{path} does not open with its promise (//!)"));
        }
        if path.ends_with("mod.rs") && source.defines {
            found.push(format!("{path} is a map and defines something"));
        }
        let higher = source.named.iter().filter_map(|named| not_below(&source.module, named));
        found.extend(higher.collect::<BTreeSet<_>>().iter().map(|why| format!("{path} {why}")));
        if source.module.first().is_some_and(|top| top == "machine") {
            found.extend(impurities(source, crates));
        }
    }
    found.extend(repeated_types(&all));
    found.extend(cycle(&all).map(|files| format!("these files import one another: {files:?}")));
    found
}

/// Why `module` may not name `named`, if so.
fn not_below(module: &[String], named: &[String]) -> Option<String> {
    let at = module.iter().zip(named).take_while(|(a, b)| a == b).count();
    let parent = module[..at].join("::");
    let (_, lines) = LAYERS.iter().find(|(folder, _)| *folder == parent)?;
    let line_of = |path: &[String]| {
        let name = path.get(at)?;
        lines.iter().position(|line| line.contains(&name.as_str()))
    };
    let (here, there) = (module.get(at)?, named.get(at)?);
    let Some(own) = line_of(module) else {
        return Some(format!("is in '{here}', which has no place in LAYERS"));
    };
    let lower = line_of(named).is_none_or(|other| other < own);
    (!lower).then(|| format!("names '{there}', which is not below '{here}'"))
}

fn impurities(source: &Source, crates: &[String]) -> Vec<String> {
    let path = &source.path;
    let banned = NOT_IN_MACHINE.iter().chain(&["async"]);
    let banned = banned.filter(|word| source.words.contains(**word));
    let foreign = crates.iter().filter(|name| !MACHINE_CRATES.contains(&name.as_str()));
    let foreign = foreign.filter(|name| source.foreign.contains(*name));
    let banned = banned.map(|word| format!("{path} says '{word}'"));
    banned.chain(foreign.map(|name| format!("{path} uses the crate '{name}'"))).collect()
}

fn repeated_types(all: &BTreeMap<Module, Source>) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in all.values() {
        for name in source.types.iter().filter(|name| !COMMON_NAMES.contains(&name.as_str())) {
            places.entry(name).or_default().push(&source.path);
        }
    }
    let repeated = places.into_iter().filter(|(_, places)| places.len() > 1);
    repeated.map(|(name, places)| format!("the type name '{name}' is used in {places:?}")).collect()
}

/// Files that import one another, if there are any.
fn cycle(all: &BTreeMap<Module, Source>) -> Option<Vec<&str>> {
    let mut imports: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, source) in all {
        let files = source.named.iter().filter_map(|named| defined_in(all, named));
        imports.insert(module, files.filter(|file| file != module).collect());
    }
    // Files that import none of the others cannot be part of a cycle; without
    // them the same holds for further ones. What is left imports what is left.
    loop {
        let left: BTreeSet<Module> = imports.keys().map(|module| (*module).clone()).collect();
        let before = imports.len();
        imports.retain(|_, files| files.iter().any(|file| left.contains(file)));
        if imports.len() == before {
            break;
        }
    }
    let mut walked: Vec<&Module> = vec![imports.keys().next()?];
    loop {
        let next = imports[walked[walked.len() - 1]]
            .iter()
            .find_map(|file| imports.get_key_value(file).map(|(module, _)| *module))?;
        if let Some(at) = walked.iter().position(|module| *module == next) {
            return Some(walked[at..].iter().map(|module| all[*module].path.as_str()).collect());
        }
        walked.push(next);
    }
}

/// The file that defines what `path` names, re-exports followed; none where
/// that is not of this crate, or a module itself.
fn defined_in(all: &BTreeMap<Module, Source>, path: &[String]) -> Option<Module> {
    let (module, rest) = (0..path.len())
        .rev()
        .map(|end| path.split_at(end))
        .find(|(module, _)| all.contains_key(*module))?;
    if all.contains_key(path) {
        return None;
    }
    let exports = &all[module].exports;
    let target = exports.get(&rest[0]).map(|target| [target, &rest[1..]].concat());
    let target = target.filter(|target| target != path);
    target.map_or_else(|| Some(module.to_vec()), |target| defined_in(all, &target))
}
