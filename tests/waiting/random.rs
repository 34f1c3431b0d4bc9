//! Random schedules: whichever callers arrive, leave and fail, no run or lease stays free
//! while somebody waits for it.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::{ClaimNext, Create};
use mcp_state_sidecar::machine::filter::ClaimFilter;
use mcp_state_sidecar::machine::query::Candidate;
use mcp_state_sidecar::machine::{Answer, Command, Question};
use mcp_state_sidecar::service::Context;
use mcp_state_sidecar::store::{Consistency, Store};
use tokio::time::Instant;

use crate::stage::{LONG, Stage, acquire, any, held, release, run, settle, tags};

const SEEDS: u64 = 60;
const STEPS: usize = 80;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn filter(&mut self) -> ClaimFilter {
        let names: &[&str] = [&["x"][..], &["y"], &["x", "y"], &[]][self.below(4) as usize];
        let names = names.iter().map(|name| (*name).into()).collect();
        ClaimFilter { names, tags: self.tags() }
    }

    fn tags(
        &mut self,
    ) -> BTreeMap<mcp_state_sidecar::machine::Text, mcp_state_sidecar::machine::Text> {
        let all = [("a", "1"), ("b", "1")];
        tags(&all[..self.below(3) as usize])
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (0..SEEDS).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn no_run_stays_free_while_somebody_waits_for_it() {
    for seed in seeds() {
        work(seed).await;
    }
}

async fn work(seed: u64) {
    let (stage, mut draw) = (Stage::new(), Draw(seed));
    let mut waiting = Vec::new();
    let mut got = Vec::new();
    for step in 0..STEPS {
        for _ in 0..draw.below(4) {
            match draw.below(7) {
                0 | 1 => {
                    let filter = draw.filter();
                    let (names, tags) = (filter.names.clone(), filter.tags.clone());
                    let claim = ClaimNext { names, tags, claim_ttl_ms: 3_000, ..any("w") };
                    let service = stage.service.clone();
                    let call =
                        async move { service.claim_next(claim, Context::default(), LONG).await };
                    waiting.push((filter, tokio::spawn(call)));
                }
                2 | 3 => {
                    let delay_ms = [None, None, Some(2_000)][draw.below(3) as usize];
                    let (priority, tags) = (draw.below(3) as i64, draw.tags());
                    let name = ["x", "y"][draw.below(2) as usize];
                    let create = Create { delay_ms, priority, tags, ..run(name) };
                    spawn(&stage, Command::Create(create));
                }
                4 if !waiting.is_empty() => {
                    let at = draw.below(waiting.len() as u64) as usize;
                    waiting.remove(at).1.abort();
                }
                5 if !got.is_empty() => {
                    let at = draw.below(got.len() as u64) as usize;
                    spawn(&stage, Command::Release(got.remove(at)));
                }
                6 if draw.below(4) == 0 => stage.probe.fail_claims(1),
                _ => {}
            }
            if draw.below(2) == 0 {
                tokio::task::yield_now().await;
            }
        }
        match draw.below(6) {
            0 => stage.pass(1_000).await,
            _ => settle().await,
        }
        stage.probe.fail_claims(0);
        let mut still = Vec::new();
        for (filter, task) in waiting {
            if !task.is_finished() {
                still.push((filter, task));
            } else if let Ok(Ok(claimed)) = task.await
                && claimed.claimed
            {
                got.push(held(&claimed));
            }
        }
        waiting = still;
        for (filter, _) in &waiting {
            let question = Question::Candidate { filter: filter.clone(), after: None };
            let asked = stage.probe.inner.ask(question, Consistency::Local, Instant::now()).await;
            let answer = asked.expect("an answer").answer;
            let Answer::Candidate(candidate) = answer else { panic!("another answer") };
            assert!(
                !matches!(candidate, Candidate::Ready(_)),
                "SEED={seed}: after step {step} somebody waits for {filter:?}, although {candidate:?} is free"
            );
        }
    }
}

fn spawn(stage: &Stage, command: Command) {
    let service = stage.service.clone();
    tokio::spawn(async move { service.submit(command, Context::default()).await });
}

#[tokio::test(start_paused = true)]
async fn no_lease_stays_free_while_somebody_waits_for_it() {
    for seed in seeds() {
        leases(seed).await;
    }
}

async fn leases(seed: u64) {
    let (stage, mut draw) = (Stage::new(), Draw(seed));
    let mut waiting = Vec::new();
    for step in 0..STEPS {
        for _ in 0..draw.below(4) {
            let holder = ["a", "b", "c", "d"][draw.below(4) as usize];
            match draw.below(5) {
                0 | 1 => {
                    let mut wanted = acquire(holder);
                    wanted.ttl_ms = 3_000;
                    let service = stage.service.clone();
                    let call =
                        async move { service.acquire(wanted, Context::default(), LONG).await };
                    waiting.push(tokio::spawn(call));
                }
                2 => spawn(&stage, release(holder)),
                3 => spawn(&stage, Command::Acquire(acquire(holder))),
                4 if !waiting.is_empty() => {
                    let at = draw.below(waiting.len() as u64) as usize;
                    waiting.remove(at).abort();
                }
                _ => {}
            }
            if draw.below(2) == 0 {
                tokio::task::yield_now().await;
            }
        }
        match draw.below(6) {
            0 => stage.pass(1_000).await,
            _ => settle().await,
        }
        waiting.retain(|task| !task.is_finished());
        let question = Question::Lease { resource_id: "r".into() };
        let asked = stage.probe.inner.ask(question, Consistency::Local, Instant::now()).await;
        let is_free = asked.expect("an answer").answer == Answer::Lease(None);
        assert!(
            !is_free || waiting.is_empty(),
            "SEED={seed}: after step {step} {} wait for a lease that is free",
            waiting.len()
        );
    }
}
