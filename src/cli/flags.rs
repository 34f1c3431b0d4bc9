//! The flags of settings. They are made from the list of settings, so each has the same
//! name, default and help everywhere. `config` decides what their values mean.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};

use super::failure::CommandFailure;
use super::output::print_notes;
use crate::config::settings::{SETTINGS, Setting, SettingKind};
use crate::config::{CONFIG_ENV, ResolvedConfig, Sources};

const CONFIG: &str = "config";
const PRINT_CONFIG: &str = "print_config";
const HEADING: &str =
    "Settings (a flag wins over the environment, that over the file, and that over the default)";

/// The settings that were given as flags.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags {
    pub config: Option<PathBuf>,
    pub print_config: bool,
    pub values: Vec<(&'static str, String)>,
}

impl SettingFlags {
    /// Whether no setting was given.
    pub fn is_empty(&self) -> bool {
        self.config.is_none() && !self.print_config && self.values.is_empty()
    }

    /// Combines the flags before a command with those after it, which win.
    pub fn then(mut self, later: SettingFlags) -> SettingFlags {
        self.values.extend(later.values);
        SettingFlags {
            config: later.config.or(self.config),
            print_config: self.print_config || later.print_config,
            values: self.values,
        }
    }

    /// Resolves the configuration from these flags, the file and the environment. With
    /// `--print-config` it prints the configuration and returns `None`.
    ///
    /// # Errors
    /// A setting is wrong, or does not fit another one.
    pub fn resolve(self) -> Result<Option<ResolvedConfig>, CommandFailure> {
        let print = self.print_config;
        let resolved =
            ResolvedConfig::from_sources(&self.into_sources()).map_err(CommandFailure::usage)?;
        if print {
            print!("{resolved}");
        }
        let checked = resolved.config.check();
        // A setting that is missing may be there under a misspelt name.
        if print || checked.is_err() {
            print_notes(&resolved.notes);
        }
        checked.map_err(CommandFailure::usage)?;
        Ok((!print).then_some(resolved))
    }

    /// Adds the environment of the process.
    pub fn into_sources(self) -> Sources {
        let env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        Sources { file: self.config, env, flags: self.values }
    }
}

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(format!("A TOML file of settings [env: {CONFIG_ENV}]"));
        let print = Arg::new(PRINT_CONFIG)
            .long("print-config")
            .action(ArgAction::SetTrue)
            .help("Print every setting, its value and where that comes from, and exit");
        let args = [config, print].into_iter().chain(SETTINGS.iter().filter_map(arg));
        command.args(args.map(|arg| arg.help_heading(HEADING)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SettingFlags, clap::Error> {
        let with_flags = SETTINGS.iter().filter(|setting| setting.flag.is_some());
        let values = with_flags
            .filter_map(|setting| {
                let value = matches.get_one::<String>(setting.name)?;
                Some((setting.name, value.clone()))
            })
            .collect();
        Ok(SettingFlags {
            config: matches.get_one::<PathBuf>(CONFIG).cloned(),
            print_config: matches.get_flag(PRINT_CONFIG),
            values,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of a setting. Its value is text here; `config` parses it like any other.
fn arg(setting: &'static Setting) -> Option<Arg> {
    let arg = Arg::new(setting.name).long(setting.flag?);
    let arg = match setting.kind {
        SettingKind::Switch => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        SettingKind::Plain | SettingKind::List | SettingKind::Secret => arg,
    };
    let default = setting.default.filter(|default| !default.is_empty());
    let default = default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let help = format!("{} [env: {}]{default}", setting.about, setting.env);
    Some(arg.value_name("VALUE").help(help).hide_short_help(true))
}
