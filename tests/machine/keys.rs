//! Stories of keys, transactions, sessions, the sweep and the reset.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::meta::Counts;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::world::World;

fn get(world: &World, key: &str) -> Option<(String, u64)> {
    match world.ask(Question::Key { key: key.into() }) {
        Answer::Key(row) => row.map(|row| (row.value.to_string(), row.revision.0)),
        other => panic!("{other:?}"),
    }
}

fn names(world: &World, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let scan = Scan { prefix: prefix.into(), after: after.map(Text::from) };
    match world.ask(Question::Keys { scan, page: Page::of_rows(limit) }) {
        Answer::Keys { rows, next } => {
            (rows.into_iter().map(|(key, _)| key.to_string()).collect(), next.is_some())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_set_read_and_deleted_with_an_event_each() {
    let mut world = World::default();
    assert_eq!(get(&world, "k"), None);
    let agent_id = Some("a".into());
    world.run(Command::Set(Set { agent_id, ..set_of("k", "{ \"as\" : 1.10 }") }));
    assert_eq!(get(&world, "k"), Some(("{ \"as\" : 1.10 }".into(), 1)));
    let event = world.last_event();
    assert_eq!((event.action, &*event.subject), (Action::StateSet, "k"));
    assert_eq!((event.actor.as_deref(), event.previous), (Some("a"), None));
    assert_eq!(written(world.run(set("k", "2"))).revision, Revision(2));
    let event = world.last_event();
    assert_eq!(event.previous, Some(Json::new("{ \"as\" : 1.10 }")));
    assert_eq!(event.actor.as_deref(), Some("actor"), "who sent it, where no agent is named");
    assert!(written(world.run(delete("k"))).ok);
    assert_eq!(get(&world, "k"), None);
    let absent = Written { ok: false, revision: Revision::ZERO, reason: None };
    assert_eq!(written(world.run(delete("k"))), absent);
    assert_eq!(world.revision(), 3, "deleting nothing is no change");
}

#[test]
fn if_revision_is_checked_and_zero_means_absent() {
    let mut world = World::default();
    let at =
        |revision| Command::Set(Set { if_revision: Some(Revision(revision)), ..set_of("k", "1") });
    assert!(written(world.run(at(0))).ok);
    let refused = written(world.run(at(0)));
    assert_eq!((refused.ok, refused.revision), (false, Revision(1)));
    assert_eq!(refused.reason.as_deref(), Some("if_revision: the key is at revision 1, not 0"));
    assert!(written(world.run(at(1))).ok);
    let delete_at = |revision| {
        let if_revision = Some(Revision(revision));
        Command::Delete(Delete { key: "k".into(), agent_id: None, if_revision, fence: None })
    };
    assert_eq!(written(world.run(delete_at(1))).revision, Revision(2));
    assert!(written(world.run(delete_at(2))).ok);
    assert_eq!(world.revision(), 3);
}

#[test]
fn a_key_is_gone_at_its_deadline_and_the_sweep_says_so() {
    let mut world = World::default();
    world.run(Command::Set(Set { ttl_ms: Some(1_000), ..set_of("k", "1") }));
    world.advance_ms(999);
    assert!(get(&world, "k").is_some());
    world.advance_ms(1);
    assert_eq!(get(&world, "k"), None);
    assert_eq!(names(&world, "", None, 10), (vec![], false));
    let swept = world.run(Command::Sweep { limit: 0 });
    assert_eq!(swept, Reply::Swept { removed: 0, more: true });
    assert_eq!(world.revision(), 1, "a sweep of nothing only moves the clock on");
    let swept = world.run(Command::Sweep { limit: 10 });
    assert_eq!(swept, Reply::Swept { removed: 1, more: false });
    let event = world.last_event();
    assert_eq!((event.action, event.previous), (Action::StateExpire, Some(Json::new("1"))));
    assert!(world.rows().keys.is_empty());
}

#[test]
fn an_expired_key_counts_as_absent_before_the_sweep() {
    let mut world = World::default();
    world.run(Command::Set(Set { ttl_ms: Some(1), ..set_of("k", "1") }));
    world.advance_ms(1);
    assert!(!written(world.run(delete("k"))).ok);
    let absent = Command::Set(Set { if_revision: Some(Revision(0)), ..set_of("k", "2") });
    assert!(written(world.run(absent)).ok);
    assert_eq!(world.last_event().previous, None);
    assert_eq!(world.run(Command::Sweep { limit: 9 }), Reply::Swept { removed: 0, more: false });
}

#[test]
fn a_sweep_is_bounded_and_goes_by_age() {
    let mut world = World::default();
    for (key, ttl_ms) in [("c", 1), ("a", 2), ("b", 2), ("d", 9)] {
        world.run(Command::Set(Set { ttl_ms: Some(ttl_ms), ..set_of(key, "1") }));
    }
    world.advance_ms(5);
    assert_eq!(world.run(Command::Sweep { limit: 2 }), Reply::Swept { removed: 2, more: true });
    assert_eq!(world.rows().keys.keys().map(|key| &**key).collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(world.run(Command::Sweep { limit: 2 }), Reply::Swept { removed: 1, more: false });
}

#[test]
fn lists_are_literal_prefixes_in_byte_order_page_by_page() {
    let mut world = World::default();
    for key in ["a", "ab", "a%b", "a*b", "A", "é", "b", ""] {
        world.run(set(key, "1"));
    }
    let all = ["", "A", "a", "a%b", "a*b", "ab", "b", "é"].map(String::from).to_vec();
    assert_eq!(names(&world, "", None, 8), (all.clone(), false));
    assert_eq!(names(&world, "", None, 7), (all[..7].to_vec(), true));
    assert_eq!(names(&world, "", Some("ab"), 100), (all[6..].to_vec(), false));
    assert_eq!(names(&world, "a*", None, 100).0, ["a*b"]);
    assert_eq!(names(&world, "a", Some("a%b"), 100).0, ["a*b", "ab"]);
    assert_eq!(names(&world, "b", Some("a"), 100).0, ["b"], "a cursor before the prefix");
}

#[test]
fn a_fence_lets_only_the_present_holder_write() {
    let mut world = World::default();
    let fenced = |token| Command::Set(Set { fence: fence("r", token), ..set_of("k", "1") });
    let reason = |reply| written(reply).reason.unwrap_or_default().to_string();
    assert_eq!(reason(world.run(fenced(1))), "fence: nobody holds lease 'r'");
    world.run(acquire("r", "a", 1_000));
    assert!(written(world.run(fenced(1))).ok);
    world.advance_ms(1_000);
    assert_eq!(reason(world.run(fenced(1))), "fence: nobody holds lease 'r'", "it ran out");
    world.run(acquire("r", "b", 1_000));
    let late = "fence: lease 'r' is held with token 3, not 1";
    assert_eq!(reason(world.run(fenced(1))), late);
    let key = Text::from("k");
    let fence = fence("r", 1);
    let delete = Delete { key, agent_id: None, if_revision: None, fence: fence.clone() };
    assert_eq!(reason(world.run(Command::Delete(delete))), late);
    let then = vec![Operation::Delete { key: "k".into() }];
    let none = Vec::new;
    let transact = Transact { compare: none_of(), then, otherwise: none(), agent_id: None, fence };
    let refused = transacted(world.run(Command::Transact(transact)));
    assert_eq!((refused.succeeded, refused.results.len()), (false, 0));
    assert_eq!(refused.reason.as_deref(), Some(late));
    let save = SaveSession { fence: self::fence("r", 1), ..save("s", "{}") };
    let Reply::SessionSaved { ok, reason, .. } = world.run(Command::SaveSession(save)) else {
        panic!("no session")
    };
    assert_eq!((ok, reason.as_deref()), (false, Some(late)));
    assert_eq!(world.revision(), 3, "none of it happened");
}

fn none_of() -> Vec<Compare> {
    Vec::new()
}

#[test]
fn a_transaction_reads_its_own_writes_and_takes_one_branch() {
    let mut world = World::default();
    world.run(set("a", "1"));
    let compare = |key: &str, condition| Compare { key: key.into(), condition };
    let transact = Transact {
        compare: vec![
            compare("a", Condition::Revision(Revision(1))),
            compare("a", Condition::Value(Json::new("1"))),
            compare("b", Condition::Exists(false)),
            compare("b", Condition::Revision(Revision(0))),
        ],
        then: vec![
            Operation::Set { key: "b".into(), value: Json::new("2"), ttl_ms: Some(0) },
            Operation::Get { key: "b".into() },
            Operation::Set { key: "b".into(), value: Json::new("3"), ttl_ms: None },
            Operation::Get { key: "b".into() },
            Operation::Delete { key: "a".into() },
            Operation::Delete { key: "a".into() },
            Operation::Get { key: "a".into() },
        ],
        otherwise: vec![Operation::Get { key: "b".into() }],
        agent_id: Some("t".into()),
        fence: None,
    };
    let done = transacted(world.run(Command::Transact(transact.clone())));
    let gone = || OperationResult::Got { found: false, value: None, revision: Revision::ZERO };
    let three =
        || OperationResult::Got { found: true, value: Some(Json::new("3")), revision: Revision(3) };
    let results = [
        OperationResult::Set { revision: Revision(2) },
        gone(), // its time was over at once
        OperationResult::Set { revision: Revision(3) },
        three(),
        OperationResult::Deleted { ok: true },
        OperationResult::Deleted { ok: false },
        gone(),
    ];
    assert_eq!((done.succeeded, done.revision), (true, Revision(4)));
    assert_eq!(done.results, results);
    let again = transacted(world.run(Command::Transact(transact)));
    assert_eq!((again.succeeded, again.revision), (false, Revision(4)));
    assert_eq!(again.results, [three()]);
}

#[test]
fn a_session_keeps_when_it_was_first_saved() {
    let mut world = World::default();
    world.run(Command::SaveSession(save("s", "{\"n\":1}")));
    world.advance_ms(5);
    world.run(Command::SaveSession(save("s", "{\"n\":2}")));
    let Answer::Session(Some(row)) = world.ask(Question::Session { session_id: "s".into() }) else {
        panic!("no session")
    };
    assert_eq!((row.context.as_str(), row.updated_at.0 - row.saved_at.0), ("{\"n\":2}", 5));
    assert_eq!(world.last_event().previous, Some(Json::new("{\"n\":1}")));
    let gone = DeleteSession { session_id: "s".into(), agent_id: None };
    let deleted = |ok| Reply::SessionDeleted { ok, session_id: "s".into() };
    assert_eq!(world.run(Command::DeleteSession(gone.clone())), deleted(true));
    assert_eq!(world.run(Command::DeleteSession(gone)), deleted(false));
}

#[test]
fn a_reset_counts_what_it_clears_and_revisions_go_on() {
    let mut world = World::default();
    world.run(set("k", "1"));
    world.run(set("k", "2"));
    world.run(Command::Set(Set { ttl_ms: Some(1), ..set_of("brief", "1") }));
    let run_id = created(world.run(create("w")));
    world.run(checkpoint(&run_id, 1, claimant("", 0)));
    world.run(acquire("r", "a", 1_000));
    world.run(Command::SaveSession(save("s", "{}")));
    world.advance_ms(1);
    let Answer::Counts(counts) = world.ask(Question::Counts) else { panic!("no counts") };
    let all = Counts { keys: 1, runs: 1, steps: 1, leases: 1, sessions: 1, ..Counts::default() };
    assert_eq!(counts, all);
    // Five live rows and three sets in the history, as the reference counts.
    assert_eq!(world.run(Command::Reset), Reply::Reset { cleared: 8 });
    assert_eq!((world.revision(), world.history.len()), (8, 0));
    assert_eq!(world.tables.rows().count(), 0);
    assert_eq!(world.run(Command::Reset), Reply::Reset { cleared: 0 });
    let token = acquired(world.run(acquire("r", "b", 1_000))).fencing_token;
    assert_eq!(token, Some(Revision(10)), "tokens rise across a reset");
}
