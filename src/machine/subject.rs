//! Subjects: what events are about, and how they name it.

use super::value::Text;

/// A kind of thing that events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// A key is its own subject, so it may be named like anything else.
    Key,
    Run,
    Lease,
    Session,
    Schedule,
    /// The pause of a name of runs.
    Pause,
    /// The whole state.
    State,
}

impl Noun {
    /// How events name the thing `name` of this kind.
    pub fn subject(self, name: &str) -> Text {
        format!("{}{name}", self.prefix()).into()
    }

    /// The name of the thing of this kind that `subject` names.
    pub fn name(self, subject: &str) -> Option<&str> {
        subject.strip_prefix(self.prefix())
    }

    fn prefix(self) -> &'static str {
        match self {
            Noun::Key => "",
            Noun::Run => "workflow:",
            Noun::Lease => "lease:",
            Noun::Session => "session:",
            Noun::Schedule => "schedule:",
            Noun::Pause => "pause:",
            Noun::State => "sidecar",
        }
    }
}
