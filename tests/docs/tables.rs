//! The tables that are made from the program: its settings, and its tools as
//! clients see them. They stand in their pages between two comments, where
//! `UPDATE_DOCS=1 cargo test --test docs` writes them.

use std::collections::BTreeSet;
use std::fmt::Write;

use mcp_state_sidecar::config::settings::{SETTINGS, Setting, SettingKind};
use serde_json::Value;

/// Arguments and results that mean the same for many tools. The page explains
/// them once; each tool's table only says that it takes them.
const SHARED_ARGUMENTS: &[&str] =
    &["consistency", "cursor", "fence", "idempotency_key", "limit", "values"];
const SHARED_RESULTS: &[&str] = &["age_seconds", "next_cursor", "remaining", "remaining_at_least"];

/// The table of settings.
pub fn settings() -> String {
    let mut table =
        String::from("| Variable | Default | Accepted values | Purpose |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            None | Some("") => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let (env, expects, about) = (setting.env, cell(setting.expects), cell(setting.about));
        _ = writeln!(table, "| `{env}` | {default} | {expects} | {about} |");
    }
    table.trim_end().to_owned()
}

/// Settings whose three names do not follow the rule that the page gives.
pub fn irregular_settings() -> Vec<String> {
    let is_irregular = |setting: &&Setting| {
        let name = setting.env.strip_prefix("SIDECAR_").unwrap_or(setting.env).to_lowercase();
        let flag = name.replace('_', "-");
        let has_own_flag = setting.flag.is_none_or(|own| own == flag);
        setting.name != name || !has_own_flag
    };
    let irregular = SETTINGS.iter().filter(is_irregular);
    let secrets = SETTINGS
        .iter()
        .filter(|setting| setting.flag.is_none() && setting.kind != SettingKind::Secret);
    irregular.chain(secrets).map(|setting| format!("{} is irregular", setting.env)).collect()
}

/// The names of the generated tables in the page of tools.
pub fn groups(page: &str) -> Vec<String> {
    let starts = page.split("<!-- generated: ").skip(1);
    starts.filter_map(|rest| Some(rest.split_once(" -->")?.0.to_owned())).collect()
}

/// Tools that no table of the page covers.
pub fn tools_without_a_group(tools: &[Value], page: &str) -> Vec<String> {
    let groups: BTreeSet<String> = groups(page).into_iter().collect();
    let missing = tools.iter().filter(|tool| !groups.contains(group_of(name(tool))));
    missing.map(|tool| format!("{} is in no table", name(tool))).collect()
}

fn name(tool: &Value) -> &str {
    tool["name"].as_str().expect("a name")
}

/// What a tool's name begins with.
fn group_of(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}

/// Every tool of a group: what it is for, what it takes and what it gives.
pub fn tools(tools: &[Value], group: &str) -> String {
    let of_group = tools.iter().filter(|tool| group_of(name(tool)) == group);
    let described: Vec<String> = of_group.map(describe).collect();
    assert!(!described.is_empty(), "no tool begins with {group}");
    described.join("\n\n")
}

fn describe(tool: &Value) -> String {
    let mut text = format!("### `{}`\n\n", name(tool));
    _ = writeln!(text, "*{}*\n", nature(&tool["annotations"]));
    _ = writeln!(text, "{}\n", tool["description"].as_str().expect("a description"));
    let input = &tool["inputSchema"];
    let rows = rows(input, SHARED_ARGUMENTS, true);
    if !rows.is_empty() {
        _ = writeln!(text, "| Argument | Type | Default | Meaning |\n|---|---|---|---|\n{rows}");
    }
    let shared = shared(input, SHARED_ARGUMENTS);
    if !shared.is_empty() {
        _ = writeln!(text, "It also takes {shared}.\n");
    } else if rows.is_empty() {
        text.push_str("It takes no arguments.\n\n");
    }
    let output = &tool["outputSchema"];
    let rows = self::rows(output, SHARED_RESULTS, false);
    _ = writeln!(text, "| Result | Type | Meaning |\n|---|---|---|\n{rows}");
    let shared = self::shared(output, SHARED_RESULTS);
    if !shared.is_empty() {
        _ = writeln!(text, "It may also give {shared}.");
    }
    text.trim_end().to_owned()
}

fn nature(annotations: &Value) -> &'static str {
    let is = |name: &str| annotations[name].as_bool().unwrap_or(false);
    match (is("readOnlyHint"), is("destructiveHint"), is("idempotentHint")) {
        (true, ..) => "Reads only.",
        (false, true, true) => "Writes, may overwrite or remove, and may safely be repeated.",
        (false, true, false) => "Writes, and may overwrite or remove.",
        (false, false, true) => "Writes, and may safely be repeated.",
        (false, false, false) => "Writes.",
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name))
}

/// A table's rows, those of objects in it below them.
fn rows(schema: &Value, left_out: &[&str], with_default: bool) -> String {
    let mut rows = String::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if left_out.contains(&name.as_str()) {
            continue;
        }
        let marked = match with_default && is_required(schema, name) {
            true => format!("`{name}` (required)"),
            false => format!("`{name}`"),
        };
        let about = cell(field["description"].as_str().unwrap_or_default());
        let kind = kind(field);
        match with_default {
            true => {
                let default = &field["default"];
                let default =
                    if default.is_null() { String::new() } else { format!("`{default}`") };
                _ = writeln!(rows, "| {marked} | {kind} | {default} | {about} |");
            }
            false => _ = writeln!(rows, "| {marked} | {kind} | {about} |"),
        }
    }
    rows
}

fn shared(schema: &Value, names: &[&str]) -> String {
    let has = |name: &&&str| schema["properties"].get(**name).is_some();
    let names: Vec<String> = names.iter().filter(has).map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// A field's type, its bounds, and the members of objects in it.
fn kind(field: &Value) -> String {
    let mut kind = match &field["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) if kinds.len() < 6 => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        _ => "any JSON value".to_owned(),
    };
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> =
            values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        kind = values.join(", ");
    }
    if let Some(least) = field["minimum"].as_u64() {
        _ = write!(kind, ", {least} or more");
    }
    if let Some(most) = field["maximum"].as_u64() {
        _ = write!(kind, ", at most {most}");
    }
    if let Some(of) = field["items"].get("properties") {
        _ = write!(kind, " of objects: {}", members(of));
    }
    if let Some(of) = field.get("properties") {
        _ = write!(kind, ": {}", members(of));
    }
    kind
}

fn members(properties: &Value) -> String {
    let names = properties.as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
