//! `--print-config`: a table of every setting with its value and where that came from.
//! Secrets never reach it.

use std::fmt;

use super::resolved::ResolvedConfig;

impl fmt::Display for ResolvedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value_of = |value: &Option<String>| match value.as_deref() {
            None => "(not set)".to_owned(),
            Some("") => "(none)".to_owned(),
            Some(text) => text.escape_debug().to_string(),
        };
        let name_width = self.shown.iter().map(|shown| shown.env.len()).max().unwrap_or(0);
        let values = self.shown.iter().map(|shown| value_of(&shown.value).chars().count());
        let value_width = values.max().unwrap_or(0);
        for shown in &self.shown {
            let value = value_of(&shown.value);
            write!(f, "{:name_width$}  {value:value_width$}  {}", shown.env, shown.source)?;
            if let Some(other) = shown.overridden_by {
                write!(f, ", overridden by {other}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
