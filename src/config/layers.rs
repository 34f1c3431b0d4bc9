//! Layers: lays the sources over one another and remembers for each setting
//! which of them won. A name that no setting has stops the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::parse;
use super::settings::{self, Kind, SETTINGS, Setting};
use super::{CONFIG_ENV, Config, ConfigError};
use crate::nearest::nearest;

/// Of a wrong value, no more than this is repeated.
const ECHO_CHARS_MAX: usize = 80;

/// What the program was started with.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, all of it or what concerns us.
    pub env: Vec<(OsString, OsString)>,
    /// Flags: the setting's name in the file, and the value.
    pub flags: Vec<(&'static str, String)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    Env,
    Flag,
}

/// The configuration together with the story of each setting.
#[derive(Debug)]
pub struct Resolved {
    pub config: Config,
    pub shown: Vec<Shown>,
}

/// One setting as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub name: &'static str,
    pub env: &'static str,
    /// `(set)` for secrets; none where nothing is set.
    pub value: Option<String>,
    pub source: Source,
}

impl Resolved {
    /// Parses every setting from the strongest source that has it.
    ///
    /// # Errors
    /// A wrong value, an unknown name, or a file that cannot be read.
    pub fn from_sources(sources: &Sources) -> Result<Resolved, ConfigError> {
        let env = environment(&sources.env)?;
        let path = sources.file.clone().or_else(|| env.get(CONFIG_ENV).map(PathBuf::from));
        let file = match &path {
            Some(path) => file(path)?,
            None => BTreeMap::new(),
        };
        let mut config = Config::default();
        let mut shown = Vec::with_capacity(SETTINGS.len());
        for setting in SETTINGS {
            let flag = sources.flags.iter().rev().find(|(name, _)| *name == setting.name);
            let (value, source) = if let Some((_, value)) = flag {
                (Some(value.as_str()), Source::Flag)
            } else if let Some(value) = env.get(setting.env) {
                (Some(value.as_str()), Source::Env)
            } else if let (Some(value), Some(path)) = (file.get(setting.name), &path) {
                (Some(value.as_str()), Source::File(path.clone()))
            } else {
                (setting.default, Source::Default)
            };
            if let Some(text) = value {
                (setting.apply)(&mut config, text)
                    .map_err(|why| wrong(setting, &source, text, &why))?;
            }
            shown.push(Shown::new(setting, value, source));
        }
        config.read_secret_files()?;
        Ok(Resolved { config, shown })
    }
}

impl Shown {
    fn new(setting: &Setting, value: Option<&str>, source: Source) -> Shown {
        let is_secret = setting.kind == Kind::Secret && source != Source::Default;
        let value = value.map(|text| if is_secret { "(set)" } else { text }.to_owned());
        Shown { name: setting.name, env: setting.env, value, source }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Env => f.write_str("environment"),
            Source::Flag => f.write_str("flag"),
        }
    }
}

/// The variables that are ours. Those of the reference without our prefix are
/// known by name; any other with it is a mistake.
fn environment(all: &[(OsString, OsString)]) -> Result<BTreeMap<String, String>, ConfigError> {
    let known = || SETTINGS.iter().map(|setting| setting.env).chain([CONFIG_ENV]);
    let mut ours = BTreeMap::new();
    for (name, value) in all {
        let Some(name) = name.to_str() else { continue };
        if !known().any(|env| env == name) {
            if name.starts_with("SIDECAR_") {
                return Err(unknown(name, "variable", known()));
            }
            continue;
        }
        let value = value.to_str().ok_or_else(|| {
            ConfigError(format!("{name}: got bytes that are not UTF-8, takes text"))
        })?;
        ours.insert(name.to_owned(), value.to_owned());
    }
    Ok(ours)
}

/// The file's values as text, by name.
fn file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{shown}: cannot read the settings: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error| not_toml(path, &text, &error))?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let Some(setting) = settings::by_name(&name) else {
            let known = SETTINGS.iter().map(|setting| setting.name);
            let ConfigError(line) = unknown(&name, "setting", known);
            return Err(ConfigError(format!("{shown}: {line}")));
        };
        let text = as_text(setting, &value).ok_or_else(|| {
            let got = value.type_str();
            ConfigError(format!("{name} in {shown}: got a TOML {got}, takes {}", setting.takes))
        })?;
        values.insert(name, text);
    }
    Ok(values)
}

/// A TOML value in the form that flags and environment have; none where the
/// type can never fit.
fn as_text(setting: &Setting, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(entries) if setting.kind == Kind::List => {
            let entries: Option<Vec<&str>> = entries.iter().map(toml::Value::as_str).collect();
            entries.map(|entries| entries.join(","))
        }
        toml::Value::Array(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}

/// Says where the file stops being TOML, without repeating it: the line may
/// hold a secret.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message().replace('\n', ", ");
    ConfigError(format!("{}, line {line}: not TOML: {message}", path.display()))
}

fn wrong(setting: &Setting, source: &Source, text: &str, why: &str) -> ConfigError {
    let name = match source {
        Source::Default | Source::Env => setting.env.to_owned(),
        Source::File(path) => format!("{} in {}", setting.name, path.display()),
        Source::Flag => format!("--{}", setting.flag.unwrap_or(setting.name)),
    };
    let got = match setting.kind {
        Kind::Secret => format!("{} characters that are not shown", text.chars().count()),
        Kind::Plain | Kind::List | Kind::Switch => echo(text),
    };
    let why = parse::detail(why);
    ConfigError(format!("{name}: got {got}{why}, takes {}", setting.takes))
}

fn unknown(
    name: &str,
    what: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> ConfigError {
    match nearest(name, known) {
        Some(near) => ConfigError(format!("{name}: no such {what}; did you mean {near}?")),
        None => ConfigError(format!("{name}: no such {what}; --print-config lists them all")),
    }
}

fn echo(text: &str) -> String {
    if text.chars().count() <= ECHO_CHARS_MAX {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(ECHO_CHARS_MAX).collect();
    format!("{start:?}…")
}
