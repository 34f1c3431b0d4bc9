//! The sources, laid over one another: each setting has the value of the strongest source
//! that sets it, and remembers which one that was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::ConfigError;
use super::parse;
use super::settings::{SETTINGS, Setting, SettingKind};
use super::sources::{CONFIG_ENV, SettingSource, Sources, read_environment, read_file};
use super::types::Config;

/// A message repeats no more of a wrong value than this.
const ECHO_CHARS_MAX: usize = 80;

/// The configuration, and where the value of each setting came from.
#[derive(Debug)]
pub struct ResolvedConfig {
    pub config: Config,
    pub shown: Vec<ShownSetting>,
}

/// One setting as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    pub name: &'static str,
    pub env: &'static str,
    /// `(set)` for a secret, and `None` where nothing is set.
    pub value: Option<String>,
    pub source: SettingSource,
}

impl Config {
    /// Lays flags over the environment over a file over the defaults, and checks the
    /// result as a whole.
    ///
    /// # Errors
    /// A value or a combination of values is wrong, or a name does not exist.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let resolved = ResolvedConfig::from_sources(sources)?;
        resolved.config.check()?;
        Ok(resolved.config)
    }
}

impl ResolvedConfig {
    /// Parses every setting from the strongest source that has it.
    ///
    /// # Errors
    /// A value is wrong, a name is unknown, or a file cannot be read.
    pub fn from_sources(sources: &Sources) -> Result<ResolvedConfig, ConfigError> {
        let env = read_environment(&sources.env)?;
        let path = sources.file.clone().or_else(|| env.get(CONFIG_ENV).map(PathBuf::from));
        let file = match &path {
            Some(path) => read_file(path)?,
            None => BTreeMap::new(),
        };
        let mut config = Config::default();
        let mut shown = Vec::with_capacity(SETTINGS.len());
        for setting in SETTINGS {
            let flag = sources.flags.iter().rev().find(|(name, _)| *name == setting.name);
            let (value, source) = if let Some((_, value)) = flag {
                (Some(value.as_str()), SettingSource::Flag)
            } else if let Some(value) = env.get(setting.env) {
                (Some(value.as_str()), SettingSource::Env)
            } else if let (Some(value), Some(path)) = (file.get(setting.name), &path) {
                (Some(value.as_str()), SettingSource::File(path.clone()))
            } else {
                (setting.default, SettingSource::Default)
            };
            if let Some(text) = value {
                (setting.apply)(&mut config, text)
                    .map_err(|reason| invalid(setting, &source, text, &reason))?;
            }
            shown.push(ShownSetting::new(setting, value, source));
        }
        config.read_secret_files()?;
        Ok(ResolvedConfig { config, shown })
    }
}

impl ShownSetting {
    fn new(setting: &Setting, value: Option<&str>, source: SettingSource) -> ShownSetting {
        let is_secret = setting.kind == SettingKind::Secret && source != SettingSource::Default;
        let value = value.map(|text| if is_secret { "(set)" } else { text }.to_owned());
        ShownSetting { name: setting.name, env: setting.env, value, source }
    }
}

fn invalid(setting: &Setting, source: &SettingSource, text: &str, reason: &str) -> ConfigError {
    let name = match source {
        SettingSource::Default | SettingSource::Env => setting.env.to_owned(),
        SettingSource::File(path) => format!("{} in {}", setting.name, path.display()),
        SettingSource::Flag => format!("--{}", setting.flag.unwrap_or(setting.name)),
    };
    let got = match setting.kind {
        SettingKind::Secret => format!("{} characters that are not shown", text.chars().count()),
        SettingKind::Plain | SettingKind::List | SettingKind::Switch => echo(text),
    };
    let reason = parse::in_brackets(reason);
    ConfigError(format!("{name}: got {got}{reason}, expected {}", setting.expects))
}

fn echo(text: &str) -> String {
    if text.chars().count() <= ECHO_CHARS_MAX {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(ECHO_CHARS_MAX).collect();
    format!("{start:?}…")
}
