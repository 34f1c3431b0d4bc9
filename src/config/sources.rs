//! What the program was started with: a file, the environment and flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::settings::{self, SETTINGS, Setting, SettingKind};
use crate::nearest::nearest;

/// The environment variable that names the file of settings.
pub const CONFIG_ENV: &str = "SIDECAR_CONFIG";

/// The environment variable that names a file of authorities, for the commands that call
/// nodes. It is no setting of a node.
pub const CA_FILE_ENV: &str = "SIDECAR_CA_FILE";

/// What the program was started with.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
    /// The environment, whole or in part.
    pub env: Vec<(OsString, OsString)>,
    /// The flags: each setting's name in the file, and its value.
    pub flags: Vec<(&'static str, String)>,
}

/// Where a value came from, from the weakest source to the strongest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingSource {
    Default,
    File(PathBuf),
    Env,
    Flag,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingSource::Default => f.write_str("default"),
            SettingSource::File(path) => write!(f, "file {}", path.display()),
            SettingSource::Env => f.write_str("environment"),
            SettingSource::Flag => f.write_str("flag"),
        }
    }
}

/// Reads the file's values as text, by name.
pub(super) fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{shown}: cannot read the settings: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error| not_toml(path, &text, &error))?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let Some(setting) = settings::by_name(&name) else {
            let known = SETTINGS.iter().map(|setting| setting.name);
            let near = nearest(&name, known);
            let near = near.map_or_else(
                || "--print-config lists them all".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Err(ConfigError(format!("{shown}: {name}: no such setting; {near}")));
        };
        let text = as_text(setting, &value).ok_or_else(|| {
            let (got, expects) = (value.type_str(), setting.expects);
            ConfigError(format!("{name} in {shown}: got a TOML {got}, expected {expects}"))
        })?;
        values.insert(name, text);
    }
    Ok(values)
}

/// Writes a TOML value in the form that flags and variables have. `None` where no value
/// of that type fits the setting.
fn as_text(setting: &Setting, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(entries) if setting.kind == SettingKind::List => {
            let entries: Option<Vec<&str>> = entries.iter().map(toml::Value::as_str).collect();
            entries.map(|entries| entries.join(","))
        }
        toml::Value::Array(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}

/// Says where the file stops being TOML. The line itself is not repeated, since it may
/// contain a secret.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message().replace('\n', ", ");
    ConfigError(format!("{}, line {line}: not TOML: {message}", path.display()))
}
