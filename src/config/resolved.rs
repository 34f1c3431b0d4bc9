//! The sources, laid over one another: each setting has the value of the strongest source
//! that sets it, and remembers which one that was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::environment::read_environment;
use super::error::ConfigError;
use super::note::ConfigNote;
use super::parse;
use super::settings::{SETTINGS, Setting, SettingKind};
use super::sources::{CONFIG_ENV, SettingSource, Sources, read_file};
use super::types::Config;

/// A message repeats no more of a wrong value than this.
const ECHO_CHARS_MAX: usize = 80;

/// Settings that give the same value: the value itself, and the file that contains it. The
/// stronger source wins here too, as if both were one setting.
const PAIRS: [(&str, &str); 3] = [
    ("token", "token_file"),
    ("admin_token", "admin_token_file"),
    ("cluster_secret", "cluster_secret_file"),
];

/// The configuration, and where the value of each setting came from.
#[derive(Debug)]
pub struct ResolvedConfig {
    pub config: Config,
    pub shown: Vec<ShownSetting>,
    /// What did not stop the start, and is to be logged.
    pub notes: Vec<ConfigNote>,
}

/// One setting as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    pub name: &'static str,
    pub env: &'static str,
    /// `(set)` for a secret, and `None` where nothing is set.
    pub value: Option<String>,
    pub source: SettingSource,
    /// The setting of the same meaning that counts instead, by its variable.
    pub overridden_by: Option<&'static str>,
}

/// A setting with the value of the strongest source that has it.
struct PickedSetting<'a> {
    setting: &'static Setting,
    value: Option<&'a str>,
    source: SettingSource,
    overridden_by: Option<&'static str>,
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
        let (env, notes) = read_environment(&sources.env)?;
        let path = sources.file.clone().or_else(|| env.get(CONFIG_ENV).map(PathBuf::from));
        let file = match &path {
            Some(path) => read_file(path)?,
            None => BTreeMap::new(),
        };
        let pick = |setting: &'static Setting| {
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
            PickedSetting { setting, value, source, overridden_by: None }
        };
        let mut picked: Vec<PickedSetting<'_>> = SETTINGS.iter().map(pick).collect();
        for pair in PAIRS {
            override_weaker(&mut picked, pair)?;
        }
        let mut config = Config::default();
        for PickedSetting { setting, value, source, overridden_by } in &picked {
            if let (Some(text), None) = (value, overridden_by) {
                (setting.apply)(&mut config, text)
                    .map_err(|reason| invalid(setting, source, text, &reason))?;
            }
        }
        config.read_secret_files()?;
        let shown = picked.into_iter().map(ShownSetting::from).collect();
        Ok(ResolvedConfig { config, shown, notes })
    }
}

/// Marks the weaker of two settings of the same meaning, if both are set.
fn override_weaker(
    picked: &mut [PickedSetting<'_>],
    (one, other): (&str, &str),
) -> Result<(), ConfigError> {
    let set = |name: &str| {
        picked.iter().position(|picked| picked.setting.name == name && picked.value.is_some())
    };
    let (Some(one), Some(other)) = (set(one), set(other)) else { return Ok(()) };
    let (weaker, stronger) = match picked[one].source.cmp(&picked[other].source) {
        std::cmp::Ordering::Less => (one, other),
        std::cmp::Ordering::Greater => (other, one),
        std::cmp::Ordering::Equal => {
            let source = &picked[one].source;
            let named = |at: usize| written_name(picked[at].setting, source);
            return Err(ConfigError(format!(
                "{}: set beside {}, which has the same meaning, expected only one of them",
                named(other),
                named(one)
            )));
        }
    };
    picked[weaker].overridden_by = Some(picked[stronger].setting.env);
    Ok(())
}

impl From<PickedSetting<'_>> for ShownSetting {
    fn from(picked: PickedSetting<'_>) -> ShownSetting {
        let PickedSetting { setting, value, source, overridden_by } = picked;
        let is_secret = setting.kind == SettingKind::Secret && source != SettingSource::Default;
        let value = value.map(|text| if is_secret { "(set)" } else { text }.to_owned());
        ShownSetting { name: setting.name, env: setting.env, value, source, overridden_by }
    }
}

/// The setting's name as it is written in `source`.
fn written_name(setting: &Setting, source: &SettingSource) -> String {
    match source {
        SettingSource::Default | SettingSource::Env => setting.env.to_owned(),
        SettingSource::File(path) => format!("{} in {}", setting.name, path.display()),
        SettingSource::Flag => format!("--{}", setting.flag.unwrap_or(setting.name)),
    }
}

fn invalid(setting: &Setting, source: &SettingSource, text: &str, reason: &str) -> ConfigError {
    let name = written_name(setting, source);
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
