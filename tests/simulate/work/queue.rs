//! A queue of runs as fleets use one: with attempts that are used up, runs that wait for
//! others, and a key of which one run is claimed at a time. The history is judged by what
//! was asked for.

use mcp_state_sidecar::machine::command::{
    Checkpoint, ClaimNext, Complete, Concurrency, Create, SetSchedule,
};
use mcp_state_sidecar::machine::timetable::{Overlap, Timetable};
use mcp_state_sidecar::machine::{Command, Json, Reply, Text};
use rand::RngExt;

use super::Worker;
use support::checker::runs::Asked;

/// The name of the runs of the queue.
const NAME: &str = "queued";

/// The name of the runs that the schedule creates.
pub const SCHEDULED: &str = "scheduled";

/// The key of which one run is claimed at a time.
const KEY: &str = "one";

/// How many runs before it a run may depend on.
const DEPENDS_ON_MAX: usize = 2;

impl Worker {
    /// Sets the schedule, which everybody sets alike.
    pub(super) async fn set_schedule(&mut self) {
        let template = Create { name: SCHEDULED.into(), ..Create::default() };
        let command = Command::SetSchedule(Box::new(SetSchedule {
            name: "tick".into(),
            timetable: Timetable::Every { ms: 1_000 },
            template,
            overlap: Overlap::Queue,
            first_at: None,
            agent_id: None,
        }));
        let _ = self.submit(&command, None).await;
    }

    pub(super) async fn work_on_queue(&mut self) {
        match self.queued.pop() {
            Some((run, token)) if self.rng.random_bool(0.7) => {
                self.finish_queued(&run, token).await;
            }
            // It is not heard of again, so the claim lapses.
            Some(_) => {}
            None if self.rng.random_bool(0.4) => self.create_queued().await,
            None => self.claim_queued().await,
        }
    }

    async fn create_queued(&mut self) {
        let before: Vec<String> =
            self.record.borrow().asked.keys().rev().take(5).cloned().collect();
        let count = self.rng.random_range(0..=DEPENDS_ON_MAX.min(before.len()));
        let depends_on: Vec<String> = before.into_iter().take(count).collect();
        let concurrency = self.rng.random_bool(0.3).then(|| (KEY.to_owned(), 1));
        let asked = Asked { max_attempts: self.rng.random_range(1..3), depends_on, concurrency };
        let text = |text: &String| Text::from(text.as_str());
        let command = Command::Create(Create {
            name: NAME.into(),
            max_attempts: asked.max_attempts as u32,
            backoff_ms: Some(1),
            depends_on: asked.depends_on.iter().map(text).collect(),
            concurrency: asked
                .concurrency
                .as_ref()
                .map(|(key, limit)| Concurrency { key: text(key), limit: *limit as u32 }),
            ..Create::default()
        });
        let name = self.unique();
        let (_, reply) = self.submit(&command, Some(name)).await;
        if let Ok(Reply::Created { run_id, .. }) = reply {
            self.record.borrow_mut().asked.insert(run_id.to_string(), asked);
        }
    }

    async fn claim_queued(&mut self) {
        let command = Command::ClaimNext(ClaimNext {
            agent_id: self.name.as_str().into(),
            names: [Text::from(NAME)].into(),
            tags: Default::default(),
            claim_ttl_ms: self.rng.random_range(200..800),
            limit: None,
            after: None,
        });
        let (_, reply) = self.submit(&command, None).await;
        if let Ok(Reply::Claimed(claimed)) = reply
            && let (Some(run_id), Some(token)) = (claimed.run_id, claimed.claim_token)
        {
            self.granted("workflow_claim", &format!("workflow:{run_id}"), token.0);
            self.queued.push((run_id.to_string(), token.0));
        }
    }

    /// Stores a step, and ends the run or keeps it. What comes too late is refused.
    async fn finish_queued(&mut self, run: &str, token: u64) {
        let output = self.unique();
        let command = Command::Checkpoint(Checkpoint {
            run_id: run.into(),
            step: self.rng.random_range(0..3),
            output: Json::new(output.as_str()),
            claimant: self.claimant(token),
            ask: None,
        });
        let (_, reply) = self.submit(&command, None).await;
        if let Ok(Reply::Checkpointed(stored)) = reply
            && stored.ok
        {
            self.stored(run, &output);
        }
        if self.rng.random_bool(0.4) {
            let claimant = self.claimant(token);
            let run_id = run.into();
            let complete = Complete { run_id, claimant, ..Complete::default() };
            let _ = self.submit(&Command::Complete(complete), None).await;
        } else {
            self.queued.push((run.to_owned(), token));
        }
    }
}
