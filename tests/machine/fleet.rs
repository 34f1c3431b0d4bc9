//! A fleet of agents: what they ask for at random, with a memory for runs and
//! tokens that fails them now and then, over nodes that repeat themselves.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::*;

use crate::chance::Chance;
use crate::world::World;

const KEYS: [&str; 6] = ["", "a", "ab", "abc", "b", "é"];
const LEASES: [&str; 3] = ["r", "s", "t"];
const AGENTS: [&str; 4] = ["w1", "w2", "w3", "w4"];
const SESSIONS: [&str; 2] = ["s1", "s2"];
const NAMES: [&str; 2] = ["etl", "train"];

pub fn tags(chance: &mut Chance) -> BTreeMap<Text, Text> {
    let mut tags = BTreeMap::new();
    for name in ["team", "size"] {
        if chance.percent(40) {
            tags.insert(Text::from(name), chance.text(&["1", "2"]));
        }
    }
    tags
}

/// A run that there is, as a rule.
pub fn run_id(chance: &mut Chance, world: &World) -> Text {
    let ids: Vec<&Text> = world.rows().runs.keys().collect();
    match ids.is_empty() || chance.percent(3) {
        true => "wf-none".into(),
        // Newer ones more often: most others are over.
        false => match chance.percent(70) {
            true => {
                let newest = world.rows().runs.values().max_by_key(|run| run.created_revision);
                newest.map_or_else(|| ids[0].clone(), |run| run.run_id.clone())
            }
            false => (*chance.one_of(&ids)).clone(),
        },
    }
}

/// The present token, as a rule.
fn token(chance: &mut Chance, present: Option<Revision>) -> Revision {
    match present {
        Some(present) if chance.percent(80) => present,
        _ => Revision(chance.below(60)),
    }
}

pub fn claimant_of(chance: &mut Chance, world: &World, run_id: &Text) -> Claimant {
    let run = world.rows().runs.get(run_id);
    let present = run.and_then(|run| run.claim.as_ref().map(|claim| claim.token));
    let holder = run.and_then(|run| run.agent_id.clone());
    Claimant {
        agent_id: chance.maybe(60, |chance| match holder {
            Some(holder) if chance.percent(70) => holder,
            _ => chance.text(&AGENTS),
        }),
        claim_token: chance.maybe(60, |chance| token(chance, present)),
    }
}

fn fence_of(chance: &mut Chance, world: &World) -> Option<Fence> {
    let resource_id = chance.text(&LEASES);
    let present = world.rows().leases.get(&resource_id).map(|lease| lease.token);
    chance.maybe(20, |chance| Fence { resource_id, token: token(chance, present) })
}

fn ttl_ms(chance: &mut Chance) -> u64 {
    *chance.one_of(&[0, 1, 50, 400, 2_000, 60_000])
}

fn value(chance: &mut Chance) -> Json {
    Json::new(*chance.one_of(&["1", "2", "\"x\"", "{\"a\":[1,null]}"]))
}

fn operation(chance: &mut Chance) -> Operation {
    let key = chance.text(&KEYS);
    match chance.below(3) {
        0 => Operation::Get { key },
        1 => Operation::Delete { key },
        _ => Operation::Set { key, value: value(chance), ttl_ms: chance.maybe(30, ttl_ms) },
    }
}

fn compare(chance: &mut Chance, world: &World) -> Compare {
    let key = chance.text(&KEYS);
    let present = world.rows().keys.get(&key).map(|row| row.revision);
    let condition = match chance.below(3) {
        0 => Condition::Revision(token(chance, present)),
        1 => Condition::Value(value(chance)),
        _ => Condition::Exists(chance.percent(50)),
    };
    Compare { key, condition }
}

fn of_keys(chance: &mut Chance, world: &World) -> Command {
    let key = chance.text(&KEYS);
    let present = world.rows().keys.get(&key).map(|row| row.revision);
    let if_revision = chance.maybe(20, |chance| token(chance, present));
    let agent_id = chance.maybe(50, |chance| chance.text(&AGENTS));
    let fence = fence_of(chance, world);
    match chance.below(4) {
        0 => Command::Delete(Delete { key, agent_id, if_revision, fence }),
        1 => Command::Transact(Transact {
            compare: (0..chance.below(3)).map(|_| compare(chance, world)).collect(),
            then: (0..chance.below(5)).map(|_| operation(chance)).collect(),
            otherwise: (0..chance.below(3)).map(|_| operation(chance)).collect(),
            agent_id,
            fence,
        }),
        _ => {
            let (value, ttl_ms) = (value(chance), chance.maybe(40, ttl_ms));
            Command::Set(Set { key, value, ttl_ms, agent_id, if_revision, fence })
        }
    }
}

fn of_runs(chance: &mut Chance, world: &World) -> Command {
    let run_id = run_id(chance, world);
    let agent_id = chance.text(&AGENTS);
    let claimant = claimant_of(chance, world, &run_id);
    let claim_ttl_ms = ttl_ms(chance);
    let present = world.rows().runs.get(&run_id).and_then(|run| run.claim.as_ref());
    let claim_token = token(chance, present.map(|claim| claim.token));
    let held = Held { run_id: run_id.clone(), agent_id: agent_id.clone(), claim_token };
    match chance.below(14) {
        0 | 1 => Command::Create(Create {
            name: chance.text(&NAMES),
            tags: tags(chance),
            input: chance.maybe(30, value),
            priority: chance.below(3) as i64 - 1,
            delay_ms: chance.maybe(30, ttl_ms),
            max_attempts: chance.below(4) as u32,
            parent_run_id: chance.maybe(30, |_| run_id),
        }),
        2 | 3 => Command::Claim(Claim { run_id, agent_id, claim_ttl_ms }),
        4 | 5 => {
            let name = chance.maybe(30, |chance| chance.text(&NAMES));
            let tags = if chance.percent(30) { tags(chance) } else { Default::default() };
            Command::ClaimNext(ClaimNext { agent_id, name, tags, claim_ttl_ms, after: None })
        }
        6 => Command::Heartbeat(held),
        7 => Command::Release(held),
        8..=10 => {
            let (step, output) = (chance.below(5), value(chance));
            Command::Checkpoint(Checkpoint { run_id, step, output, claimant })
        }
        11 => Command::Complete(Complete { run_id, result: chance.maybe(50, value), claimant }),
        12 => {
            let retry = chance.percent(70);
            Command::Fail(Fail { run_id, error: "broken".into(), retry, claimant })
        }
        _ => {
            let agent_id = chance.maybe(50, |_| agent_id);
            Command::Cancel(Cancel { run_id, reason: None, agent_id })
        }
    }
}

fn of_leases(chance: &mut Chance, world: &World) -> Command {
    let (resource_id, holder_id) = (chance.text(&LEASES), chance.text(&AGENTS));
    let present = world.rows().leases.get(&resource_id).map(|lease| lease.token);
    let fencing_token = chance.maybe(50, |chance| token(chance, present));
    let ttl_ms = ttl_ms(chance);
    match chance.below(4) {
        0 => Command::Renew(Renew { resource_id, holder_id, ttl_ms, fencing_token }),
        1 => Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token }),
        _ => Command::Acquire(Acquire { resource_id, holder_id, ttl_ms }),
    }
}

fn command(chance: &mut Chance, world: &World) -> Command {
    match chance.below(100) {
        0..30 => of_keys(chance, world),
        30..70 => of_runs(chance, world),
        70..88 => of_leases(chance, world),
        88..93 => {
            let (session_id, context) = (chance.text(&SESSIONS), value(chance));
            let fence = fence_of(chance, world);
            Command::SaveSession(SaveSession { session_id, context, agent_id: None, fence })
        }
        93 => {
            let session_id = chance.text(&SESSIONS);
            Command::DeleteSession(DeleteSession { session_id, agent_id: None })
        }
        94..99 => Command::Sweep { limit: chance.below(4) as u32 },
        _ if chance.percent(40) => Command::Reset,
        _ => Command::Sweep { limit: 0 },
    }
}

/// The nodes' attempts: new ones, ones asked again, and some that come late.
#[derive(Default)]
pub struct Nodes {
    next: [u64; 3],
}

impl Nodes {
    fn origin(&mut self, chance: &mut Chance) -> Origin {
        let session = chance.below(3);
        let next = &mut self.next[session as usize];
        let sequence = match chance.percent(80) {
            true => *next,
            false => next.saturating_sub(chance.below(6)),
        };
        *next = (*next).max(sequence + 1);
        Origin { session, sequence, lowest: next.saturating_sub(chance.below(4)) }
    }
}

pub fn envelope(chance: &mut Chance, world: &mut World, nodes: &mut Nodes) -> Envelope {
    match chance.below(200) {
        // Past the hour for which requests are remembered.
        0 => world.advance_ms(4_000_000),
        1..60 => world.advance_ms(chance.below(1_500)),
        60..100 => world.advance_ms(chance.below(20)),
        _ => {}
    }
    let command = command(chance, world);
    let mut envelope = world.envelope(command);
    // A new leader's clock may be behind.
    let behind_ms = chance.maybe(10, |chance| chance.below(3_000)).unwrap_or(0);
    envelope.clock.0 -= behind_ms;
    envelope.wall.0 -= behind_ms / 2;
    envelope.chance = chance.draw();
    envelope.state_bytes_max = chance.maybe(30, |chance| 500 + chance.below(5_000));
    envelope.origin = chance.maybe(40, |chance| nodes.origin(chance));
    envelope.idempotency = chance.maybe(15, |chance| Idempotency {
        key: chance.text(&["i1", "i2", "i3", "i4"]),
        digest: [chance.below(2) as u8; 32],
    });
    envelope
}
