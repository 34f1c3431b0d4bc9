//! A quota of the state: what stores values is refused where it would make a
//! full state larger; everything else goes on. How large a state is, is checked
//! against its rows after each step of every test here.

use mcp_state_sidecar::machine::command::{
    Acquire, Cancel, Checkpoint, Claim, Claimant, Complete, Create, Delete, DeleteSession, Fail,
    HeldClaim, Operation, ReleaseLease, Renew, SaveSession, Set, StateLimits, Transact,
};
use mcp_state_sidecar::machine::size::ROW_BYTES;
use mcp_state_sidecar::machine::{Command, Envelope, Json, RefusalCode, Reply, Text};

use crate::world::World;

/// As large as the state is now, so that it is full.
fn full(world: &World) -> Option<u64> {
    Some(world.tables.meta().state_bytes)
}

fn run_with(world: &mut World, state_bytes_max: Option<u64>, command: Command) -> Reply {
    let envelope = Envelope {
        limits: StateLimits { bytes_max: state_bytes_max, ..Default::default() },
        ..world.envelope(command)
    };
    world.step(&envelope)
}

fn set(key: &str, bytes: usize) -> Command {
    let value = value(bytes);
    let (key, agent_id, if_revision, fence) = (key.into(), None, None, None);
    Command::Set(Set { key, value, ttl_ms: None, agent_id, if_revision, fence })
}

fn value(bytes: usize) -> Json {
    Json::new(format!("\"{}\"", "x".repeat(bytes - 2)))
}

fn create(name: &str) -> Command {
    Command::Create(Create {
        name: name.into(),
        tags: Default::default(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 3,
        parent_run_id: None,
        ..Default::default()
    })
}

fn created(world: &mut World) -> Text {
    match world.run(create("run")) {
        Reply::Created { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

fn is_over_quota(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.code == RefusalCode::QuotaExceeded)
}

#[test]
fn names_values_and_a_sum_a_row_are_counted() {
    let mut world = World::default();
    world.run(set("key", 10));
    assert_eq!(world.tables.meta().state_bytes, ROW_BYTES + 3 + 10);
    world.run(set("key", 7));
    assert_eq!(world.tables.meta().state_bytes, ROW_BYTES + 3 + 7);
    world.run(create("name"));
    let run_id_bytes = "wf-0123456789ab".len() as u64;
    assert_eq!(world.tables.meta().state_bytes, 2 * ROW_BYTES + 3 + 7 + run_id_bytes + 4);
    world.run(Command::Reset);
    assert_eq!(world.tables.meta().state_bytes, 0);
}

#[test]
fn what_fits_to_the_byte_is_taken_and_one_more_is_not() {
    let mut world = World::default();
    let max = Some(2 * (ROW_BYTES + 1 + 100));
    assert!(!is_over_quota(&run_with(&mut world, max, set("a", 100))));
    assert!(is_over_quota(&run_with(&mut world, max, set("b", 101))));
    assert!(!is_over_quota(&run_with(&mut world, max, set("b", 100))));
    // No larger, though full, and though over it by a limit that was lowered.
    assert!(!is_over_quota(&run_with(&mut world, max, set("a", 100))));
    assert!(!is_over_quota(&run_with(&mut world, Some(10), set("a", 99))));
    assert!(!is_over_quota(&run_with(&mut world, None, set("c", 1_000))));
}

#[test]
fn a_transaction_counts_as_a_whole() {
    let mut world = World::default();
    world.run(set("a", 100));
    let set =
        |key: &str, bytes| Operation::Set { key: key.into(), value: value(bytes), ttl_ms: None };
    let transact = |then: Vec<Operation>| {
        let (compare, otherwise) = (Vec::new(), Vec::new());
        Command::Transact(Transact { compare, then, otherwise, agent_id: None, fence: None })
    };
    let max = full(&world);
    let delete = Operation::Delete { key: "a".into() };
    // One key written twice counts as it is in the end.
    let twice = transact(vec![set("b", 500), delete.clone(), set("b", 100)]);
    assert!(!is_over_quota(&run_with(&mut world, max, twice)));
    let more = transact(vec![set("b", 10), set("c", 100)]);
    assert!(is_over_quota(&run_with(&mut world, max, more)));
}

#[test]
fn whatever_stores_a_value_is_refused_in_a_full_state() {
    let mut world = World::default();
    let run_id = created(&mut world);
    let save = |bytes| {
        let context = value(bytes);
        Command::SaveSession(SaveSession {
            session_id: "s".into(),
            context,
            agent_id: None,
            fence: None,
            ttl_ms: None,
        })
    };
    world.run(save(10));
    let step =
        Checkpoint { run_id, step: 1, output: value(10), claimant: Claimant::default(), ask: None };
    let max = full(&world);
    let stores = [set("k", 10), create("n"), Command::Checkpoint(step), save(11)];
    for command in stores {
        assert!(command.kind().stores_value);
        let reply = run_with(&mut world, max, command.clone());
        assert!(is_over_quota(&reply), "{command:?}: {reply:?}");
    }
}

#[test]
fn work_is_finished_and_room_is_made_in_a_full_state() {
    let mut world = World::default();
    world.run(set("k", 10));
    let (run_id, other) = (created(&mut world), created(&mut world));
    let third = created(&mut world);
    world.run(Command::SaveSession(SaveSession {
        session_id: "s".into(),
        context: value(10),
        agent_id: None,
        fence: None,
        ttl_ms: None,
    }));
    let agent: Text = "agent".into();
    let max = Some(1);
    let claim = |run_id: &Text| {
        let (run_id, agent_id) = (run_id.clone(), agent.clone());
        Command::Claim(Claim { run_id, agent_id, claim_ttl_ms: 60_000 })
    };
    let token = |reply: Reply| match reply {
        Reply::Claimed(claimed) => claimed.claim_token.expect("it is free"),
        other => panic!("{other:?}"),
    };
    let first = token(run_with(&mut world, max, claim(&run_id)));
    let held = HeldClaim { run_id: run_id.clone(), agent_id: agent.clone(), claim_token: first };
    let (resource_id, holder_id): (Text, Text) = ("r".into(), agent.clone());
    let acquire = Acquire {
        resource_id: resource_id.clone(),
        holder_id: holder_id.clone(),
        ttl_ms: 60_000,
        ..Default::default()
    };
    let goes_on = [
        Command::Heartbeat(held.clone()),
        Command::Release(held),
        Command::Complete(Complete { run_id, result: Some(value(5_000)), ..Complete::default() }),
        Command::Fail(Fail {
            run_id: other,
            error: "e".repeat(500).as_str().into(),
            retry: false,
            claimant: Claimant::default(),
            ..Default::default()
        }),
        Command::Cancel(Cancel { run_id: third, reason: Some("r".into()), agent_id: None }),
        Command::Acquire(acquire),
        Command::Renew(Renew {
            resource_id: resource_id.clone(),
            holder_id: holder_id.clone(),
            ttl_ms: 90_000,
            fencing_token: None,
        }),
        Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token: None }),
        Command::DeleteSession(DeleteSession { session_id: "s".into(), agent_id: None }),
        Command::Delete(Delete { key: "k".into(), agent_id: None, if_revision: None, fence: None }),
        Command::Sweep { limit: 10 },
        Command::Reset,
    ];
    for command in goes_on {
        let reply = run_with(&mut world, max, command.clone());
        assert!(!matches!(reply, Reply::Refused(_)), "{command:?}: {reply:?}");
    }
}
