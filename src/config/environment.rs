//! Which variables of the environment are settings. Others must not stop the start, even if
//! they begin like ours: deployments, orchestrators and later versions of this program set
//! variables too. A file and flags belong to this program alone, so there an unknown name
//! is an error.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::ConfigError;
use super::kubernetes::is_service_variable;
use super::note::ConfigNote;
use super::settings::SETTINGS;
use super::sources::{CA_FILE_ENV, CONFIG_ENV};
use crate::nearest::nearest;

/// What the variables of our settings begin with, except for those of the Python reference.
const PREFIX: &str = "SIDECAR_";

/// A note repeats no more of a name than this.
const NAME_CHARS_MAX: usize = 80;

/// The values of the settings in the environment, by variable, and what is to be said about
/// the other variables. A variable that is empty counts as not set. Names without the prefix
/// may be those of other programs, and are ignored without a note.
///
/// # Errors
/// The value of a setting is not text.
pub(super) fn read_environment(
    all: &[(OsString, OsString)],
) -> Result<(BTreeMap<String, String>, Vec<ConfigNote>), ConfigError> {
    let mut values = BTreeMap::new();
    let mut notes = Vec::new();
    // Deployments have no other way to leave out a variable that they name.
    for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(name) = name.to_str() else { continue };
        let setting = known().find(|known| *known == name);
        let is_service = value.to_str().is_some_and(|value| is_service_variable(name, value));
        match (setting, value.to_str()) {
            (Some(name), Some(value)) if is_service => {
                notes.push(ConfigNote::Service { name, value: value.to_owned() });
            }
            (Some(_), Some(value)) => {
                values.insert(name.to_owned(), value.to_owned());
            }
            (Some(_), None) => {
                let line = format!("{name}: got bytes that are not UTF-8, expected text");
                return Err(ConfigError(line));
            }
            (None, _) if name.starts_with(PREFIX) && !is_service => {
                let nearest = nearest_known(name);
                let name = name.chars().take(NAME_CHARS_MAX).collect();
                notes.push(ConfigNote::Unknown { name, nearest });
            }
            (None, _) => {}
        }
    }
    Ok((values, notes))
}

/// The variable that was probably meant. What all names begin with says nothing, and may be
/// there by mistake.
fn nearest_known(name: &str) -> Option<&'static str> {
    let bare = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    let near = nearest(name.strip_prefix(PREFIX).unwrap_or(name), known().map(bare))?;
    known().find(|known| bare(known) == near)
}

/// Every variable that means something to this program.
fn known() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.env).chain([CONFIG_ENV, CA_FILE_ENV])
}
