//! Row ids, and the bytes that index entries end with.

use super::entry::push_text;
use super::run_group::RunGroup;
use super::value::Text;

/// The id of a row. Ids of one kind sort by the bytes of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowId {
    Key(Text),
    Lease(Text),
    Run(Text),
    Step(Text, u64),
    Session(Text),
    Group(RunGroup),
    Schedule(Text),
    Pause(Text),
    Cancellation(Text),
    Request(Text),
    Origin(u64),
    Answer(u64, u64),
}

impl RowId {
    /// The name of a key, a lease, a session, a schedule, a pause, or of runs that are
    /// counted.
    pub fn name(&self) -> Option<&Text> {
        match self {
            RowId::Key(name)
            | RowId::Lease(name)
            | RowId::Session(name)
            | RowId::Schedule(name)
            | RowId::Pause(name)
            | RowId::Group(RunGroup::Name(name)) => Some(name),
            RowId::Run(_)
            | RowId::Step(..)
            | RowId::Group(RunGroup::Parent(_) | RunGroup::Concurrency(_))
            | RowId::Cancellation(_)
            | RowId::Request(_)
            | RowId::Origin(_)
            | RowId::Answer(..) => None,
        }
    }

    /// Whether a reset keeps the row. It keeps remembered answers: without them, a
    /// request repeated after the reset would be carried out twice.
    pub fn outlives_reset(&self) -> bool {
        match self {
            RowId::Request(_) | RowId::Origin(_) | RowId::Answer(..) => true,
            RowId::Key(_)
            | RowId::Lease(_)
            | RowId::Run(_)
            | RowId::Step(..)
            | RowId::Session(_)
            | RowId::Group(_)
            | RowId::Schedule(_)
            | RowId::Pause(_)
            | RowId::Cancellation(_) => false,
        }
    }

    /// Adds the id as index entries end with it.
    pub fn push_bytes(&self, bytes: &mut Vec<u8>) {
        let (kind, name) = match self {
            RowId::Key(key) => (1, &**key),
            RowId::Lease(resource_id) => (2, &**resource_id),
            RowId::Run(run_id) => (3, &**run_id),
            RowId::Step(run_id, _) => (4, &**run_id),
            RowId::Session(session_id) => (5, &**session_id),
            RowId::Cancellation(run_id) => (6, &**run_id),
            RowId::Request(key) => (7, &**key),
            RowId::Origin(_) => (8, ""),
            RowId::Answer(..) => (9, ""),
            RowId::Group(group) => (10, &**group.parts().1),
            RowId::Schedule(name) => (11, &**name),
            RowId::Pause(name) => (12, &**name),
        };
        bytes.push(kind);
        match self {
            RowId::Step(run_id, step) => {
                push_text(bytes, run_id);
                bytes.extend(step.to_be_bytes());
            }
            RowId::Group(group) => {
                bytes.push(group.parts().0);
                bytes.extend(name.bytes());
            }
            RowId::Origin(session) => bytes.extend(session.to_be_bytes()),
            RowId::Answer(session, sequence) => {
                bytes.extend(session.to_be_bytes());
                bytes.extend(sequence.to_be_bytes());
            }
            _ => bytes.extend(name.bytes()),
        }
    }

    /// The id in bytes, as [`RowId::push_bytes`] writes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.push_bytes(&mut bytes);
        bytes
    }

    /// The id that [`RowId::push_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<RowId> {
        let (kind, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Text::from);
        let number = |at: usize| Some(u64::from_be_bytes(rest.get(at..at + 8)?.try_into().ok()?));
        Some(match kind {
            1 => RowId::Key(text(rest)?),
            2 => RowId::Lease(text(rest)?),
            3 => RowId::Run(text(rest)?),
            4 => {
                let end = rest.len().checked_sub(8)?;
                RowId::Step(text(rest.get(4..end)?)?, number(end)?)
            }
            5 => RowId::Session(text(rest)?),
            6 => RowId::Cancellation(text(rest)?),
            7 => RowId::Request(text(rest)?),
            8 => RowId::Origin(number(0)?),
            9 => RowId::Answer(number(0)?, number(8)?),
            10 => {
                let (kind, common) = rest.split_first()?;
                RowId::Group(RunGroup::of_parts(*kind, text(common)?)?)
            }
            11 => RowId::Schedule(text(rest)?),
            12 => RowId::Pause(text(rest)?),
            _ => return None,
        })
    }
}
