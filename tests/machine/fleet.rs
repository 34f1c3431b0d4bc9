//! A fleet of agents: what they ask for at random, with a memory for runs and
//! tokens that fails them now and then, over nodes that repeat themselves.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::dependency_failure::OnDependencyFailure;
use mcp_state_sidecar::machine::row::RunRow;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::timetable::{FiringMs, Overlap, Timetable};
use mcp_state_sidecar::machine::*;

use crate::rng::RandomSource;
use crate::world::World;

const KEYS: [&str; 6] = ["", "a", "ab", "abc", "b", "é"];
const LEASES: [&str; 3] = ["r", "s", "t"];
const AGENTS: [&str; 4] = ["w1", "w2", "w3", "w4"];
const SESSIONS: [&str; 2] = ["s1", "s2"];
const NAMES: [&str; 2] = ["etl", "train"];
const FEW_RUNS: usize = 5;
const ON_DEPENDENCY_FAILURE: [OnDependencyFailure; 3] =
    [OnDependencyFailure::Fail, OnDependencyFailure::Cancel, OnDependencyFailure::Continue];

pub fn tags(rng: &mut RandomSource) -> BTreeMap<Text, Text> {
    let mut tags = BTreeMap::new();
    for name in ["team", "size"] {
        if rng.percent(40) {
            tags.insert(Text::from(name), rng.text(&["1", "2"]));
        }
    }
    tags
}

/// A run that there is, as a rule.
pub fn run_id(rng: &mut RandomSource, world: &World) -> Text {
    let ids: Vec<&Text> = world.rows().runs.keys().collect();
    match ids.is_empty() || rng.percent(3) {
        true => "wf-none".into(),
        // Most are over, so newer ones and claimed ones are drawn more often.
        false => match rng.below(10) {
            0..5 => newest_of(world, |_| true),
            5..8 => newest_of(world, |run| run.claim.is_some() && !run.is_over()),
            _ => None,
        }
        .unwrap_or_else(|| (*rng.one_of(&ids)).clone()),
    }
}

/// The newest run of which this is true.
fn newest_of(world: &World, is_wanted: impl Fn(&RunRow) -> bool) -> Option<Text> {
    let runs = world.rows().runs.values().filter(|run| is_wanted(run));
    runs.max_by_key(|run| run.created_revision).map(|run| run.run_id.clone())
}

/// The present token, as a rule.
fn token(rng: &mut RandomSource, present: Option<Revision>) -> Revision {
    match present {
        Some(present) if rng.percent(80) => present,
        _ => Revision(rng.below(60)),
    }
}

pub fn claimant_of(rng: &mut RandomSource, world: &World, run_id: &Text) -> Claimant {
    let run = world.rows().runs.get(run_id);
    let present = run.and_then(|run| run.claim.as_ref().map(|claim| claim.token));
    let holder = run.and_then(|run| run.agent_id.clone());
    Claimant {
        agent_id: rng.maybe(60, |rng| match holder {
            Some(holder) if rng.percent(70) => holder,
            _ => rng.text(&AGENTS),
        }),
        claim_token: rng.maybe(60, |rng| token(rng, present)),
    }
}

fn fence_of(rng: &mut RandomSource, world: &World) -> Option<Fence> {
    let resource_id = rng.text(&LEASES);
    let lease = world.rows().leases.get(&resource_id);
    let present = lease.map(|lease| rng.one_of(&lease.holders).token);
    rng.maybe(20, |rng| Fence { resource_id, token: token(rng, present) })
}

fn ttl_ms(rng: &mut RandomSource) -> u64 {
    *rng.one_of(&[0, 1, 50, 400, 2_000, 60_000])
}

fn value(rng: &mut RandomSource) -> Json {
    Json::new(*rng.one_of(&["1", "2", "\"x\"", "{\"a\":[1,null]}"]))
}

fn operation(rng: &mut RandomSource) -> Operation {
    let key = rng.text(&KEYS);
    match rng.below(3) {
        0 => Operation::Get { key },
        1 => Operation::Delete { key },
        _ => Operation::Set { key, value: value(rng), ttl_ms: rng.maybe(30, ttl_ms) },
    }
}

fn compare(rng: &mut RandomSource, world: &World) -> Compare {
    let key = rng.text(&KEYS);
    let present = world.rows().keys.get(&key).map(|row| row.revision);
    let condition = match rng.below(3) {
        0 => Condition::Revision(token(rng, present)),
        1 => Condition::Value(value(rng)),
        _ => Condition::Exists(rng.percent(50)),
    };
    Compare { key, condition }
}

fn of_keys(rng: &mut RandomSource, world: &World) -> Command {
    let key = rng.text(&KEYS);
    let present = world.rows().keys.get(&key).map(|row| row.revision);
    let if_revision = rng.maybe(20, |rng| token(rng, present));
    let agent_id = rng.maybe(50, |rng| rng.text(&AGENTS));
    let fence = fence_of(rng, world);
    match rng.below(4) {
        0 => Command::Delete(Delete { key, agent_id, if_revision, fence }),
        1 => Command::Transact(Transact {
            compare: (0..rng.below(3)).map(|_| compare(rng, world)).collect(),
            then: (0..rng.below(5)).map(|_| operation(rng)).collect(),
            otherwise: (0..rng.below(3)).map(|_| operation(rng)).collect(),
            agent_id,
            fence,
        }),
        _ => {
            let (value, ttl_ms) = (value(rng), rng.maybe(40, ttl_ms));
            Command::Set(Set { key, value, ttl_ms, agent_id, if_revision, fence })
        }
    }
}

fn create(rng: &mut RandomSource, world: &World) -> Create {
    Create {
        name: rng.text(&NAMES),
        tags: tags(rng),
        input: rng.maybe(30, value),
        priority: rng.below(3) as i64 - 1,
        delay_ms: rng.maybe(30, ttl_ms),
        max_attempts: rng.below(4) as u32,
        parent_run_id: rng.maybe(30, |rng| run_id(rng, world)),
        backoff_ms: rng.maybe(20, ttl_ms),
        backoff_max_ms: rng.maybe(20, ttl_ms),
        deadline: rng
            .maybe(15, |rng| RunDeadline { ms: 2 * ttl_ms(rng), from_claim: rng.percent(50) }),
        start_within_ms: rng.maybe(15, |rng| 2 * ttl_ms(rng)),
        keep_ms: rng.maybe(20, ttl_ms),
        concurrency: rng.maybe(40, |rng| Concurrency {
            key: rng.text(&["c1", "c2"]),
            limit: 1 + rng.below(2) as u32,
        }),
        fair_key: rng.maybe(40, |rng| rng.text(&["f1", "f2", "f3"])),
        unique: rng.maybe(20, |rng| UniqueRequest {
            key: rng.text(&["u1", "u2"]),
            held: *rng.one_of(&[UniqueFor::Queued, UniqueFor::Active, UniqueFor::Ms(1_000)]),
        }),
        depends_on: match rng.percent(30) {
            true => (0..1 + rng.below(3)).map(|_| run_id(rng, world)).collect(),
            false => Vec::new(),
        },
        on_dependency_failure: *rng.one_of(&ON_DEPENDENCY_FAILURE),
    }
}

fn of_runs(rng: &mut RandomSource, world: &World) -> Command {
    let run_id = run_id(rng, world);
    let agent_id = rng.text(&AGENTS);
    let claimant = claimant_of(rng, world, &run_id);
    let claim_ttl_ms = ttl_ms(rng);
    let present = world.rows().runs.get(&run_id).and_then(|run| run.claim.as_ref());
    let present = present.map(|claim| claim.token);
    let claim_token = match present.filter(|_| rng.percent(80)) {
        Some(right) => right,
        None => token(rng, present),
    };
    let holder = world.rows().runs.get(&run_id).and_then(|run| run.agent_id.clone());
    let holder = holder.filter(|_| rng.percent(90)).unwrap_or_else(|| agent_id.clone());
    let held = HeldClaim { run_id: run_id.clone(), agent_id: holder, claim_token };
    // Where few are left, most calls would be about none.
    let are_few = world.rows().runs.len() < FEW_RUNS;
    match rng.below(20) {
        0 | 1 => Command::Create(create(rng, world)),
        _ if are_few && rng.percent(50) => Command::Create(create(rng, world)),
        2 | 3 => Command::Claim(Claim { run_id, agent_id, claim_ttl_ms }),
        4 | 5 => {
            let names = (0..rng.below(3)).filter_map(|_| rng.maybe(30, |rng| rng.text(&NAMES)));
            let names = names.collect();
            let tags = if rng.percent(30) { tags(rng) } else { Default::default() };
            let limit = rng.maybe(30, |rng| 1 + rng.below(4) as u32);
            Command::ClaimNext(ClaimNext {
                agent_id,
                names,
                tags,
                claim_ttl_ms,
                after: None,
                limit,
            })
        }
        6 | 15 => Command::Heartbeat(held),
        7 | 16 => Command::Release(held),
        8..=10 => {
            let (step, output) = (rng.below(5), value(rng));
            let ask = rng.maybe(70, |rng| Ask {
                question: rng.text(&NAMES),
                options: (0..rng.below(3)).map(|_| rng.text(&NAMES)).collect(),
                expires_ms: rng.maybe(50, ttl_ms),
            });
            Command::Checkpoint(Checkpoint { run_id, step, output, claimant, ask })
        }
        11 => Command::Complete(Complete {
            run_id,
            result: rng.maybe(50, value),
            claimant,
            last_step: rng.maybe(20, |rng| LastStep { step: rng.below(4), output: value(rng) }),
            successors: match rng.percent(20) {
                true => vec![create(rng, world), create(rng, world)],
                false => Vec::new(),
            },
        }),
        12 => {
            let retry = rng.percent(70);
            Command::Fail(Fail {
                run_id,
                error: "broken".into(),
                retry,
                claimant,
                retry_after_ms: rng.maybe(20, ttl_ms),
            })
        }
        13 => {
            let agent_id = Some(agent_id);
            let (name, tags) = (rng.maybe(50, |rng| rng.text(&NAMES)), tags(rng));
            let runs = match rng.percent(80) {
                true => RetriedRuns::One(run_id),
                false => RetriedRuns::Many { name, tags, before: None },
            };
            Command::Retry(Retry { runs, agent_id })
        }
        14 => Command::DeleteRun(DeleteRun { run_id, agent_id: None }),
        17 | 18 => Command::Decide(Decide {
            run_id: asking(world).unwrap_or(run_id),
            answer: rng.text(&NAMES),
            comment: rng.maybe(50, |rng| rng.text(&NAMES)),
            digest: None,
            agent_id: Some(agent_id),
        }),
        _ => {
            let agent_id = rng.maybe(50, |_| agent_id);
            Command::Cancel(Cancel { run_id, reason: None, agent_id })
        }
    }
}

/// A run that waits for a person.
fn asking(world: &World) -> Option<Text> {
    newest_of(world, |run| run.status == Status::AwaitingApproval)
}

fn of_leases(rng: &mut RandomSource, world: &World) -> Command {
    let (resource_id, holder_id) = (rng.text(&LEASES), rng.text(&AGENTS));
    let lease = world.rows().leases.get(&resource_id);
    let present = lease.map(|lease| rng.one_of(&lease.holders).token);
    let fencing_token = rng.maybe(50, |rng| token(rng, present));
    let ttl_ms = ttl_ms(rng);
    match rng.below(4) {
        0 => Command::Renew(Renew { resource_id, holder_id, ttl_ms, fencing_token }),
        1 => Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token }),
        _ => {
            let exclusive = rng.percent(20);
            let permits = if rng.percent(60) { rng.below(4) as u32 } else { 0 };
            Command::Acquire(Acquire { resource_id, holder_id, ttl_ms, exclusive, permits })
        }
    }
}

fn of_schedules(rng: &mut RandomSource, world: &World) -> Command {
    let (name, agent_id) = (rng.text(&SESSIONS), rng.maybe(50, |rng| rng.text(&AGENTS)));
    let next_at = world.rows().schedules.get(&name).and_then(|row| row.next_at);
    match (rng.below(10), next_at) {
        (0, _) => Command::DeleteSchedule(DeleteSchedule { name, agent_id }),
        (1..7, Some(next_at)) => {
            let due_at = next_at.plus(rng.below(10) / 9);
            let next_at = rng.maybe(90, |rng| due_at.plus(ttl_ms(rng)));
            let (missed, error) = (rng.below(3), rng.maybe(10, |_| "no such zone".into()));
            Command::FireSchedule(FireSchedule { name, due_at, next_at, missed, error })
        }
        _ => {
            let timetable = match rng.percent(50) {
                true => Timetable::Every { ms: ttl_ms(rng) },
                false => Timetable::Cron { expression: "@daily".into(), time_zone: "UTC".into() },
            };
            let (template, overlap) = (
                Create {
                    name: rng.text(&NAMES),
                    tags: tags(rng),
                    input: rng.maybe(50, value),
                    ..Create::default()
                },
                rng.one_of(&Overlap::NAMED).0,
            );
            let first_at = rng.maybe(90, |rng| FiringMs(world.clock().0).plus(ttl_ms(rng)));
            let set = SetSchedule { name, timetable, template, overlap, first_at, agent_id };
            Command::SetSchedule(Box::new(set))
        }
    }
}

fn command(rng: &mut RandomSource, world: &World) -> Command {
    match rng.below(100) {
        0..30 => of_keys(rng, world),
        30..70 => of_runs(rng, world),
        70..88 => of_leases(rng, world),
        88..91 => of_schedules(rng, world),
        91..93 => {
            let (session_id, context) = (rng.text(&SESSIONS), value(rng));
            let fence = fence_of(rng, world);
            Command::SaveSession(SaveSession {
                session_id,
                context,
                agent_id: None,
                fence,
                ttl_ms: rng.maybe(50, ttl_ms),
            })
        }
        93 => {
            let session_id = rng.text(&SESSIONS);
            Command::DeleteSession(DeleteSession { session_id, agent_id: None })
        }
        94 | 95 => {
            let (name, resume) = (rng.text(&NAMES), rng.percent(60));
            Command::Pause(Pause { name, resume, agent_id: rng.maybe(50, |rng| rng.text(&AGENTS)) })
        }
        96..99 => Command::Sweep { limit: rng.below(4) as u32 },
        _ if rng.percent(40) => Command::Reset,
        _ => Command::Sweep { limit: 0 },
    }
}

/// The nodes' attempts: new ones, ones asked again, and some that come late.
#[derive(Default)]
pub struct Nodes {
    next: [u64; 3],
}

impl Nodes {
    fn origin(&mut self, rng: &mut RandomSource) -> Origin {
        let session = rng.below(3);
        let next = &mut self.next[session as usize];
        let sequence = match rng.percent(80) {
            true => *next,
            false => next.saturating_sub(rng.below(6)),
        };
        *next = (*next).max(sequence + 1);
        Origin { session, sequence, lowest: next.saturating_sub(rng.below(4)) }
    }
}

pub fn envelope(rng: &mut RandomSource, world: &mut World, nodes: &mut Nodes) -> Envelope {
    match rng.below(200) {
        // Past the hour for which requests are remembered.
        0 => world.advance_ms(4_000_000),
        1..60 => world.advance_ms(rng.below(1_500)),
        60..100 => world.advance_ms(rng.below(20)),
        _ => {}
    }
    let command = command(rng, world);
    let mut envelope = world.envelope(command);
    // A new leader's clock may be behind.
    let behind_ms = rng.maybe(10, |rng| rng.below(3_000)).unwrap_or(0);
    envelope.clock.0 -= behind_ms;
    envelope.wall.0 -= behind_ms / 2;
    envelope.random = rng.draw();
    envelope.limits.run_retention_ms = rng.maybe(50, |rng| 10 * ttl_ms(rng));
    envelope.limits.bytes_max = rng.maybe(30, |rng| 500 + rng.below(5_000));
    envelope.origin = rng.maybe(40, |rng| nodes.origin(rng));
    envelope.idempotency = rng.maybe(15, |rng| Idempotency {
        key: rng.text(&["i1", "i2", "i3", "i4"]),
        digest: [rng.below(2) as u8; 32],
    });
    envelope
}
