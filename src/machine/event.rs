//! Events: one for each change of state, chained by hash. The history of events is
//! the audit log, wakes those who wait, and proves that replicas agree.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::hex;
use super::subject::Noun;
use super::value::{Json, Revision, Text, WallMs};

/// The SHA-256 of the previous event's chain value and this event's bytes, as in a
/// hash-chained log (Haber and Stornetta, 1991). It is all zero before the first
/// event.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(pub [u8; 32]);

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change; also the event's id.
    pub revision: Revision,
    pub at: WallMs,
    /// The agent that asked for the change, where one is known.
    pub actor: Option<Text>,
    pub action: Action,
    /// The key itself, or `workflow:`, `lease:`, `session:`, `schedule:` or `pause:`
    /// and an id.
    pub subject: Text,
    /// The subject after the change, unless it was removed.
    pub new: Option<Json>,
    /// The subject before the change, if it existed.
    pub previous: Option<Json>,
    pub chain: Chain,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident: $noun:ident = $name:literal,)*) => {
        /// What happened. An action has the name of the tool that asked for it, if
        /// there is one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$variant,)*];

            /// The name in the history.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$variant => $name,)* }
            }

            /// What events of this action are about.
            pub fn noun(self) -> Noun {
                match self { $(Action::$variant => Noun::$noun,)* }
            }
        }
    };
}

actions! {
    StateSet: Key = "state_set",
    StateDelete: Key = "state_delete",
    /// The sweep removed an expired key.
    StateExpire: Key = "state_expire",
    WorkflowCreate: Run = "workflow_create",
    WorkflowClaim: Run = "workflow_claim",
    WorkflowHeartbeat: Run = "workflow_heartbeat",
    WorkflowRelease: Run = "workflow_release",
    WorkflowCheckpoint: Run = "workflow_checkpoint",
    WorkflowComplete: Run = "workflow_complete",
    WorkflowFail: Run = "workflow_fail",
    /// A failed attempt, or a failed run, went back to `created`.
    WorkflowRetry: Run = "workflow_retry",
    WorkflowCancel: Run = "workflow_cancel",
    LeaseAcquire: Lease = "lease_acquire",
    LeaseRenew: Lease = "lease_renew",
    LeaseRelease: Lease = "lease_release",
    /// The sweep removed an expired lease.
    LeaseExpire: Lease = "lease_expire",
    SessionSave: Session = "session_save",
    SessionDelete: Session = "session_delete",
    SidecarReset: State = "sidecar_reset",
    WorkflowDelete: Run = "workflow_delete",
    /// The sweep removed a run that was over for long enough.
    WorkflowExpire: Run = "workflow_expire",
    /// The sweep removed an expired session.
    SessionExpire: Session = "session_expire",
    ScheduleSet: Schedule = "schedule_set",
    ScheduleDelete: Schedule = "schedule_delete",
    /// A firing of a schedule was carried out.
    ScheduleFire: Schedule = "schedule_fire",
    /// A checkpoint asked a person.
    WorkflowAsk: Run = "workflow_ask",
    /// A person answered, or the question expired.
    WorkflowDecide: Run = "workflow_decide",
    /// The runs that blocked this one are over.
    WorkflowUnblock: Run = "workflow_unblock",
    WorkflowPause: Pause = "workflow_pause",
    /// `workflow_pause` ended a pause.
    WorkflowUnpause: Pause = "workflow_unpause",
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

    /// What the event is about, and its name there.
    pub fn about(&self) -> Option<(Noun, &str)> {
        let noun = self.action.noun();
        Some((noun, noun.name(&self.subject)?))
    }

    /// The approximate size of the event, by which pages of events are bounded.
    pub fn bytes(&self) -> usize {
        const FIXED_BYTES: usize = 128;
        let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let actor = self.actor.as_ref().map_or(0, |actor| actor.len());
        FIXED_BYTES + self.subject.len() + actor + json(&self.new) + json(&self.previous)
    }

    /// Every optional or variable field is hashed after its presence and length,
    /// so no two different events give the same bytes.
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
        f.write_str(&hex::encode(&self.0))
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
