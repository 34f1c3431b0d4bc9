//! Options: where the state is and whether the Python reference's data is taken
//! over.

use crate::machine::command::StateLimits;

/// Where the state is.
#[derive(Clone, Debug)]
pub struct Options {
    /// A URL in one of the forms of [`super::is_url`].
    pub url: String,
    /// The prefix of all keys. It is put in braces.
    pub prefix: String,
    /// Whether data under the Python reference's names becomes the state.
    pub move_in: MoveIn,
    /// What the state may hold, for commands that this sidecar orders.
    pub limits: StateLimits,
}

/// Whether data under the Python reference's names is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoveIn {
    /// If some of it is certainly the reference's.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never. Nobody looks for it.
    Never,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "redis://localhost:6379".into(),
            prefix: "sidecar".into(),
            move_in: MoveIn::default(),
            limits: StateLimits::default(),
        }
    }
}

/// Whether keys may have this prefix. Braces would end the hash tag, and `*` has a
/// meaning in the patterns of access control lists.
pub fn is_prefix(text: &str) -> bool {
    const CHARS_MAX: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    (1..=CHARS_MAX).contains(&text.len()) && text.chars().all(fits)
}
