//! Events: one for each change of state, chained by hash. The history is the
//! audit log, the feed for those who wait, and the proof that replicas agree.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::value::{Json, Revision, Text, WallMs};

/// SHA-256 over the previous event's chain value and this event's bytes, as in
/// a hash-chained log (Haber and Stornetta, 1991). All zero before the first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(pub [u8; 32]);

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision that this change made; also the event's id.
    pub revision: Revision,
    pub at: WallMs,
    /// The agent that asked for it, where one is known.
    pub actor: Option<Text>,
    pub action: Action,
    /// The key itself, or `workflow:`, `lease:` or `session:` and an id.
    pub subject: Text,
    /// What it is now; nothing where it is gone.
    pub new: Option<Json>,
    /// What it was before; nothing where it was not there.
    pub previous: Option<Json>,
    pub chain: Chain,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What happened. Named as the tool that asked for it, where one did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$variant,)*];

            /// As the history spells it.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$variant => $name,)* }
            }
        }
    };
}

actions! {
    StateSet = "state_set",
    StateDelete = "state_delete",
    /// A key's time was over and the sweep removed it.
    StateExpire = "state_expire",
    WorkflowCreate = "workflow_create",
    WorkflowClaim = "workflow_claim",
    WorkflowHeartbeat = "workflow_heartbeat",
    WorkflowRelease = "workflow_release",
    WorkflowCheckpoint = "workflow_checkpoint",
    WorkflowComplete = "workflow_complete",
    WorkflowFail = "workflow_fail",
    /// A failed attempt went back to `created`.
    WorkflowRetry = "workflow_retry",
    WorkflowCancel = "workflow_cancel",
    LeaseAcquire = "lease_acquire",
    LeaseRenew = "lease_renew",
    LeaseRelease = "lease_release",
    /// A lease's time was over and the sweep removed it.
    LeaseExpire = "lease_expire",
    SessionSave = "session_save",
    SessionDelete = "session_delete",
    SidecarReset = "sidecar_reset",
}

impl Event {
    /// Seals the event: computes its chain value after `previous`.
    pub fn seal(mut self, previous: Chain) -> Event {
        self.chain = self.link(previous);
        self
    }

    /// Whether the event's chain value follows from `previous`.
    pub fn follows(&self, previous: Chain) -> bool {
        self.chain == self.link(previous)
    }

    /// About how much the event holds, by which reading many is bounded.
    pub fn bytes(&self) -> usize {
        const FIXED_BYTES: usize = 128;
        let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let actor = self.actor.as_ref().map_or(0, |actor| actor.len());
        FIXED_BYTES + self.subject.len() + actor + json(&self.new) + json(&self.previous)
    }

    /// Every field goes into the hash behind its own length or presence, so no
    /// two different events give the same bytes.
    fn link(&self, previous: Chain) -> Chain {
        let mut hash = Sha256::new();
        hash.update(previous.0);
        hash.update(self.revision.0.to_be_bytes());
        hash.update(self.at.0.to_be_bytes());
        feed(&mut hash, self.actor.as_deref());
        feed(&mut hash, Some(self.action.as_str()));
        feed(&mut hash, Some(&self.subject));
        feed(&mut hash, self.new.as_ref().map(Json::as_str));
        feed(&mut hash, self.previous.as_ref().map(Json::as_str));
        Chain(hash.finalize().into())
    }
}

fn feed(hash: &mut Sha256, field: Option<&str>) {
    match field {
        Some(text) => {
            hash.update([1]);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        None => hash.update([0]),
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        Action::ALL.iter().copied().find(|action| action.as_str() == s).ok_or(())
    }
}
