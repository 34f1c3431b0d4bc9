//! Questions, and what they are narrowed by.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::filter::{ChangeFilter, ClaimFilter, HistoryFilter, RunFilter};
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::{Action, Question, Revision, Text};
use mcp_state_sidecar::store::Consistency;
use mcp_state_sidecar::store::tables::Tables;

use super::{Draw, NAMES};

const STATUSES: &[Status] = &[
    Status::Created,
    Status::Claimed,
    Status::Running,
    Status::Done,
    Status::Failed,
    Status::Cancelled,
    Status::Blocked,
];

impl Draw<'_> {
    pub fn scan(&mut self) -> Scan {
        Scan { prefix: self.name(), after: self.maybe(NAMES) }
    }

    pub fn claim_filter(&mut self) -> ClaimFilter {
        let names = ["a", "b", "none"];
        let names = names.into_iter().filter(|_| self.percent(25)).map(Text::from).collect();
        ClaimFilter { names, tags: self.tags() }
    }

    pub fn run_filter(&mut self, state: &Tables) -> RunFilter {
        RunFilter {
            tags: if self.percent(50) { self.tags() } else { BTreeMap::new() },
            status: self.percent(30).then(|| self.one(STATUSES)),
            claimable: self.percent(40).then(|| self.percent(50)),
            name: self.percent(30).then(|| self.agent()),
            parent_run_id: self.percent(15).then(|| self.run_id(state)),
            agent_id: self.percent(15).then(|| self.agent()),
        }
    }

    pub fn history_filter(&mut self, state: &Tables) -> HistoryFilter {
        HistoryFilter {
            subject: self.percent(30).then(|| self.subject(state)),
            action: self.percent(40).then(|| self.one(Action::ALL)),
            actor: self.maybe(NAMES).filter(|_| self.percent(50)),
        }
    }

    fn subject(&mut self, state: &Tables) -> Text {
        match self.below(5) {
            0 => self.name(),
            1 => format!("lease:{}", self.name()).into(),
            3 => format!("schedule:{}", self.name()).into(),
            2 => format!("session:{}", self.name()).into(),
            _ => format!("workflow:{}", self.run_id(state)).into(),
        }
    }

    /// None, one up to `newest`, or the last there can be.
    pub fn revision(&mut self, newest: Revision) -> Option<Revision> {
        match self.below(4) {
            0 => None,
            1 => Some(Revision(u64::MAX)),
            _ => Some(Revision(self.below(newest.0 + 3))),
        }
    }

    pub fn consistency(&mut self) -> Consistency {
        self.one(&[Consistency::Linearizable, Consistency::Local])
    }

    /// Of which some end by their bytes.
    fn page(&mut self) -> Page {
        let (rows, bytes) = (self.one(&[10_000, 3, 1]), self.one(&[usize::MAX, 300, 0]));
        Page { rows, bytes }
    }

    pub fn question(&mut self, state: &Tables) -> Question {
        let page = self.page();
        let newest = state.meta().revision;
        match self.below(17) {
            0 => Question::Key { key: self.name() },
            1 => Question::Keys { scan: self.scan(), page },
            2 => Question::Runs {
                filter: self.run_filter(state),
                before: self.revision(newest),
                page,
            },
            3 => Question::Run { run_id: self.run_id(state) },
            4 => {
                let run_id = self.run_id(state);
                Question::Resume { run_id, from_step: self.below(4), page }
            }
            5 => Question::Leases { scan: self.scan(), page },
            6 => Question::Session { session_id: self.name() },
            7 => Question::Sessions { scan: self.scan(), page },
            8 => Question::Counts,
            10 => Question::Candidate { filter: self.claim_filter(), after: None },
            11 => Question::Lease { resource_id: self.name() },
            12 => Question::Request { key: self.name() },
            13 => Question::Schedules { scan: self.scan(), page },
            14 => Question::Stats { scan: self.scan(), page },
            15 => Question::Prerequisites { run_id: self.run_id(state), page },
            9 => Question::History {
                filter: self.history_filter(state),
                before: self.revision(newest),
                page,
            },
            _ => Question::Changes {
                filter: self.change_filter(),
                after: self.revision(newest).unwrap_or_default(),
                page,
            },
        }
    }

    fn run_id(&mut self, state: &Tables) -> Text {
        self.run(state).map_or_else(|| "wf-none".into(), |run| run.run_id)
    }

    pub fn change_filter(&mut self) -> ChangeFilter {
        match self.percent(50) {
            true => ChangeFilter::Key(self.name()),
            false => ChangeFilter::Prefix(self.name()),
        }
    }
}
