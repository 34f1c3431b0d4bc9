//! Thousands of random commands by agents that forget, repeat themselves,
//! show stale tokens and come late, under clocks that jump.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::commands::*;
use crate::naive;
use crate::tokens::Ledger;
use crate::world::World;

/// Commands of one seed; with four seeds the whole takes some seconds.
const COMMANDS: usize = 2_500;

/// SplitMix64: the same numbers for a seed on every machine and version.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub fn maybe<T>(&mut self, percent: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(percent).then(|| make(self))
    }

    pub fn text(&mut self, of: &[&str]) -> Text {
        Text::from(*self.one_of(of))
    }
}

/// The seeds to run: `SEED` alone, where it is set.
fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => vec![1, 2, 3, 4],
    }
}

/// Runs `test` for every seed and says which one failed.
pub fn for_each_seed(test: impl Fn(&mut Chance) + std::panic::RefUnwindSafe) {
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| test(&mut Chance::new(seed)));
        if let Err(panic) = outcome {
            eprintln!("failed with SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

const KEYS: [&str; 6] = ["", "a", "ab", "abc", "b", "é"];
const LEASES: [&str; 3] = ["r", "s", "t"];
const AGENTS: [&str; 4] = ["w1", "w2", "w3", "w4"];
const SESSIONS: [&str; 2] = ["s1", "s2"];
const NAMES: [&str; 2] = ["etl", "train"];

pub fn tags(chance: &mut Chance) -> std::collections::BTreeMap<Text, Text> {
    let mut tags = std::collections::BTreeMap::new();
    for name in ["team", "size"] {
        if chance.percent(40) {
            tags.insert(Text::from(name), chance.text(&["1", "2"]));
        }
    }
    tags
}

/// A run that there is, as a rule.
fn run_id(chance: &mut Chance, world: &World) -> Text {
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

fn claimant_of(chance: &mut Chance, world: &World, run_id: &Text) -> Claimant {
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
            Command::ClaimNext(ClaimNext { agent_id, name, tags, claim_ttl_ms })
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
struct Nodes {
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

fn envelope(chance: &mut Chance, world: &mut World, nodes: &mut Nodes) -> Envelope {
    match chance.below(200) {
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
    envelope.origin = chance.maybe(40, |chance| nodes.origin(chance));
    envelope.idempotency = chance.maybe(15, |chance| Idempotency {
        key: chance.text(&["i1", "i2", "i3", "i4"]),
        digest: [chance.below(2) as u8; 32],
    });
    envelope
}

/// Runs the commands of one seed through a world and gives their envelopes.
fn play(chance: &mut Chance, commands: usize) -> (World, Vec<Envelope>) {
    let (mut world, mut nodes) = (World::default(), Nodes::default());
    let mut ledger = Ledger::default();
    let mut log = Vec::new();
    for _ in 0..commands {
        let envelope = envelope(chance, &mut world, &mut nodes);
        let before = world.revision();
        let reply = world.step(&envelope);
        let internal =
            matches!(&reply, Reply::Refused(refusal) if refusal.code == RefusalCode::Internal);
        assert!(!internal, "a rule panicked on {envelope:?}");
        ledger.enter(&envelope.command, &reply, world.clock(), world.revision() > before);
        naive::compare(&world, chance);
        log.push(envelope);
    }
    (world, log)
}

#[test]
fn invariants_hold_whatever_agents_do() {
    for_each_seed(|chance| {
        let (world, log) = play(chance, COMMANDS);
        let done: std::collections::BTreeSet<_> =
            world.history.iter_after(Revision::ZERO).map(|event| event.action).collect();
        assert!(log.len() == COMMANDS && !done.is_empty());
    });
}

#[test]
fn equal_logs_make_equal_replicas_also_across_a_snapshot() {
    for_each_seed(|chance| {
        let (world, log) = play(chance, COMMANDS / 5);
        let mut replica = Tables::default();
        for (position, envelope) in log.iter().enumerate() {
            if position == log.len() / 2 {
                replica = Tables::restore(replica.meta().clone(), replica.rows());
            }
            let Ok(decision) = decide(envelope, &replica);
            replica.apply(&decision);
        }
        assert_eq!(replica, world.tables);
    });
}

#[test]
fn a_clone_of_the_tables_never_changes() {
    for_each_seed(|chance| {
        let (world, log) = play(chance, 100);
        let kept = world.tables.clone();
        let before: Vec<Change> = kept.rows().collect();
        let mut tables = world.tables;
        for envelope in &log {
            let Ok(decision) = decide(envelope, &tables);
            tables.apply(&decision);
        }
        assert_eq!(kept.rows().collect::<Vec<_>>(), before);
    });
}

const ODD_TEXT: [&str; 6] = ["", "\0", "\u{10ffff}", "wf-none", "a\"b\\c", " "];
const ODD_NUMBERS: [u64; 7] = [0, 1, 2, 1 << 31, 1 << 53, u64::MAX - 1, u64::MAX];

fn odd(chance: &mut Chance, world: &World) -> Command {
    let number = |chance: &mut Chance| *chance.one_of(&ODD_NUMBERS);
    let run_id = if chance.percent(70) { run_id(chance, world) } else { chance.text(&ODD_TEXT) };
    let (text, ttl_ms) = (chance.text(&ODD_TEXT), number(chance));
    let fence = chance.maybe(30, |chance| Fence {
        resource_id: chance.text(&ODD_TEXT),
        token: Revision(number(chance)),
    });
    let claimant = claimant_of(chance, world, &run_id);
    let (agent_id, key) = (chance.text(&ODD_TEXT), text.clone());
    match chance.below(11) {
        0 => Command::Set(Set { ttl_ms: Some(ttl_ms), fence, ..set_of(&text, "1") }),
        1 => {
            let if_revision = Some(Revision(number(chance)));
            Command::Delete(Delete { key, agent_id: Some(agent_id), if_revision, fence })
        }
        2 => Command::Create(Create {
            priority: *chance.one_of(&[i64::MIN, -1, 0, i64::MAX]),
            delay_ms: chance.maybe(50, number),
            max_attempts: *chance.one_of(&[0, 1, u32::MAX]),
            parent_run_id: chance.maybe(30, |_| run_id),
            ..create_of(&text)
        }),
        3 => Command::Claim(Claim { run_id, agent_id, claim_ttl_ms: ttl_ms }),
        4 => Command::ClaimNext(ClaimNext { claim_ttl_ms: ttl_ms, ..claim_next(&text) }),
        5 => checkpoint(&run_id, number(chance), claimant),
        6 => fail(&run_id, chance.percent(90), claimant),
        7 => acquire(&text, &agent_id, ttl_ms),
        8 => renew(&text, &agent_id, ttl_ms, chance.maybe(50, number)),
        9 => Command::Sweep { limit: number(chance) as u32 },
        _ => Command::Heartbeat(held(&run_id, &agent_id, number(chance))),
    }
}

#[test]
fn odd_values_are_decided_without_a_panic() {
    for_each_seed(|chance| {
        let mut world = World::default();
        for position in 0..600 {
            let mut envelope = {
                let command = odd(chance, &world);
                world.envelope(command)
            };
            envelope.chance = *chance.one_of(&[chance_of(position), 0, u64::MAX]);
            let number = *chance.one_of(&ODD_NUMBERS);
            // The clock is at its end from two thirds on.
            envelope.clock = ClusterMs(if position < 400 { world.now_ms } else { number });
            envelope.wall = WallMs(envelope.clock.0);
            envelope.origin = chance.maybe(30, |chance| Origin {
                session: *chance.one_of(&ODD_NUMBERS),
                sequence: *chance.one_of(&ODD_NUMBERS),
                lowest: *chance.one_of(&ODD_NUMBERS),
            });
            world.advance_ms(7);
            let reply = world.step(&envelope);
            let internal = matches!(&reply, Reply::Refused(refusal)
                if refusal.code == RefusalCode::Internal && refusal.message.starts_with("a rule"));
            assert!(!internal, "a rule panicked on {envelope:?}");
            naive::compare(&world, chance);
        }
    });
}

fn chance_of(position: u64) -> u64 {
    position << 20
}

#[test]
fn attempts_stop_counting_before_they_overflow() {
    let mut world = World::default();
    let max_attempts = u32::MAX;
    created(world.run(Command::Create(Create { max_attempts, ..create_of("w") })));
    let mut rows = world.rows().clone();
    let run = rows.runs.values_mut().next().expect("it was created");
    run.attempts = u32::MAX;
    let run_id = run.run_id.clone();
    let mut tables = Tables::restore(rows.meta.clone(), [Change::PutRun(run.clone())]);
    for command in [claim(&run_id, "a", 1_000), fail(&run_id, true, claimant("a", 0))] {
        let Ok(decision) = decide(&world.envelope(command), &tables);
        assert!(!matches!(decision.reply, Reply::Refused(_)), "{:?}", decision.reply);
        tables.apply(&decision);
    }
    assert_eq!(tables.run(&run_id).unwrap().expect("it is there").attempts, u32::MAX);
}
