//! Stories of requests that are asked again, and of rules that fail.

use mcp_state_sidecar::machine::command::Set;
use mcp_state_sidecar::machine::decide::REQUESTS_MAX;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::row::{REMEMBERED_MS, RequestRow};
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::commands::*;
use crate::world::World;

#[test]
fn an_idempotency_key_gives_the_first_answer_again() {
    let mut world = World::default();
    let first = world.run_as("key", 1, set("k", "1"));
    world.run(set("k", "2"));
    assert_eq!(world.run_as("key", 1, set("k", "1")), first);
    assert_eq!(world.revision(), 2);
    let (code, message) = refusal(world.run_as("key", 2, set("k", "3")));
    assert_eq!(code, RefusalCode::InvalidArgument);
    assert_eq!(message, "idempotency_key: 'key' was used before with other arguments");
}

#[test]
fn an_answer_that_says_no_is_remembered_and_a_refusal_is_not() {
    let mut world = World::default();
    world.run(set("k", "1"));
    let unless = |revision| {
        let if_revision = Some(Revision(revision));
        Command::Set(Set { if_revision, ..set_of("k", "2") })
    };
    let no = world.run_as("no", 1, unless(7));
    while world.revision() < 7 {
        world.run(set("k", "1"));
    }
    assert_eq!(world.run_as("no", 1, unless(7)), no);
    let missing = "wf-000000000063";
    world.random = 98;
    refusal(world.run_as("late", 1, cancel(missing)));
    world.random = 98;
    created(world.run(create("w")));
    assert!(moved(world.run_as("late", 1, cancel(missing))).ok);
}

#[test]
fn that_there_was_nothing_to_be_had_is_not_remembered() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1_000));
    assert!(!acquired(world.run_as("lease", 1, acquire("r", "b", 1_000))).acquired);
    world.run(release_lease("r", "a", None));
    let mine = world.run_as("lease", 1, acquire("r", "b", 1_000));
    assert!(acquired(mine.clone()).acquired);
    assert_eq!(world.run_as("lease", 1, acquire("r", "b", 1_000)), mine);
    let next = || Command::ClaimNext(claim_next("a"));
    assert!(!claimed(world.run_as("work", 1, next())).claimed);
    world.run(create("w"));
    let taken = world.run_as("work", 1, next());
    assert!(claimed(taken.clone()).claimed);
    assert_eq!(world.run_as("work", 1, next()), taken);
}

#[test]
fn an_idempotency_key_is_forgotten_after_an_hour() {
    let mut world = World::default();
    world.run_as("key", 1, set("k", "1"));
    world.advance_ms(REMEMBERED_MS - 1);
    assert_eq!(written(world.run_as("key", 1, set("k", "1"))).revision, Revision(1));
    world.advance_ms(1);
    assert_eq!(written(world.run_as("key", 2, set("k", "2"))).revision, Revision(2));
    world.advance_ms(REMEMBERED_MS);
    assert_eq!(world.run(Command::Sweep { limit: 9 }), Reply::Swept { removed: 1, more: false });
    assert!(world.rows().requests.is_empty());
    assert_eq!(world.revision(), 2, "forgetting is no change of state");
}

#[test]
fn a_request_too_many_is_refused_until_the_oldest_is_forgotten() {
    let reply = Reply::Reset { cleared: 0 };
    let row = |at| RequestRow { digest: [0; 32], reply: reply.clone(), at: ClusterMs(at) };
    let rows = (0..REQUESTS_MAX).map(|n| Row::Request(format!("{n}").into(), Box::new(row(n + 1))));
    let meta = Meta { clock: ClusterMs(REQUESTS_MAX), ..Meta::default() };
    let mut tables = Tables::restore(meta, rows);
    let mut world = World::default();
    world.now_ms = REQUESTS_MAX;
    let mut envelope = world.envelope(set("k", "1"));
    envelope.idempotency = Some(command::Idempotency { key: "new".into(), digest: [1; 32] });
    let Ok(refused) = decide(&envelope, &tables);
    let (code, message) = refusal(refused.reply);
    assert_eq!(code, RefusalCode::QuotaExceeded);
    assert_eq!(
        message,
        "idempotency_key: 500000 requests are remembered, which is the most; there is room again \
         at 3600.001"
    );
    envelope.clock = ClusterMs(REMEMBERED_MS + 1);
    let Ok(decision) = decide(&envelope, &tables);
    tables.apply(&decision);
    assert_eq!(tables.meta().counts.requests, REQUESTS_MAX);
    assert_eq!(lookup::oldest_request(&tables), Ok(Some("1".into())));
    assert!(tables.row(&RowId::Request("new".into())).unwrap().is_some());
}

#[test]
fn a_nodes_attempt_is_applied_once_and_then_forgotten() {
    let mut world = World::default();
    let first = world.run_from((1, 10, 10), set("k", "1"));
    assert_eq!(world.run_from((1, 10, 10), set("k", "1")), first);
    world.run_from((1, 11, 10), set("k", "2"));
    world.run_from((2, 11, 11), set("k", "3"));
    assert_eq!((world.revision(), world.rows().answers.len()), (3, 3));
    // 10 and 11 have arrived, so only the new answer is kept for session 1.
    world.run_from((1, 12, 12), set("k", "4"));
    assert_eq!(world.rows().answers.keys().collect::<Vec<_>>(), [&(1, 12), &(2, 11)]);
    let (code, message) = refusal(world.run_from((1, 10, 10), set("k", "1")));
    assert_eq!(code, RefusalCode::InvalidArgument);
    assert_eq!(message, "origin: sequence 10 was answered before; the lowest outstanding is 12");
    assert_eq!(world.revision(), 4);
}

#[test]
fn a_refusal_is_remembered_for_the_node_that_asks_again() {
    let mut world = World::default();
    let refused = world.run_from((1, 1, 1), cancel("wf-000000000002"));
    assert_eq!(created(world.run(create("w"))), "wf-000000000002");
    assert_eq!(world.run_from((1, 1, 1), cancel("wf-000000000002")), refused);
}

#[test]
fn a_nodes_session_is_forgotten_when_it_is_silent_for_an_hour() {
    let mut world = World::default();
    world.run_from((1, 1, 1), set("k", "1"));
    world.advance_ms(REMEMBERED_MS - 1);
    world.run_from((1, 2, 1), set("k", "2"));
    world.run_from((2, 1, 1), set("k", "2"));
    world.advance_ms(REMEMBERED_MS);
    // The sweep itself is a sign of life of the node that proposes it.
    let swept = world.run_from((2, 2, 1), Command::Sweep { limit: 9 });
    assert_eq!(swept, Reply::Swept { removed: 2, more: false });
    assert_eq!(world.rows().origins.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(world.rows().answers.keys().collect::<Vec<_>>(), [&(2, 2)]);
}

#[test]
fn a_reset_forgets_no_request() {
    let mut world = World::default();
    let first = world.run_as("key", 1, set("k", "1"));
    let reset = world.run_from((1, 1, 1), Command::Reset);
    assert_eq!(world.run_as("key", 1, set("k", "1")), first);
    assert_eq!(world.run_from((1, 1, 1), Command::Reset), reset);
    assert_eq!(world.revision(), 2);
}

#[test]
fn clocks_only_go_forward() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1_000));
    let clock = world.clock();
    world.now_ms -= 500;
    world.run(acquire("r", "a", 1_000));
    assert_eq!((world.clock(), world.last_event().at.0), (clock, clock.0));
}

#[test]
fn a_rule_that_panics_changes_nothing_but_the_clocks() {
    let mut world = World::default();
    // No event can follow the last revision there is, so the rule panics.
    let meta = Meta { revision: Revision(u64::MAX), ..Meta::default() };
    let tables = Tables::restore(meta.clone(), []);
    let mut envelope = world.envelope(set("k", "1"));
    envelope.origin = Some(command::Origin { session: 1, sequence: 1, lowest: 1 });
    let Ok(decision) = decide(&envelope, &tables);
    let code = |reply| refusal(reply).0;
    assert_eq!(code(decision.reply.clone()), RefusalCode::Internal);
    assert_eq!((decision.changes.len(), decision.events.len()), (0, 0));
    let clocks = Meta { clock: envelope.clock, wall: envelope.wall, ..meta };
    assert_eq!(decision.meta, clocks);
}
