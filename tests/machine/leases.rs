//! Stories of leases.

use mcp_state_sidecar::machine::command::{Acquire, Fence, Set};
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::world::{START_MS, World};

fn renewed(reply: Reply) -> (bool, Option<u64>) {
    match reply {
        Reply::Renewed(renewed) => (renewed.renewed, renewed.expires_at.map(|at| at.0 - START_MS)),
        other => panic!("{other:?}"),
    }
}

fn released(reply: Reply) -> bool {
    match reply {
        Reply::LeaseReleased { released, .. } => released,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_holder_at_a_time_and_the_others_hear_until_when() {
    let mut world = World::default();
    let first = acquired(world.run(acquire("r", "a", 1_000)));
    assert_eq!((first.acquired, first.fencing_token), (true, Some(Revision(1))));
    assert_eq!(
        world.last_event().new,
        Some(Json::new(r#"{"holder":"a","fencing_token":1,"expires_at":1795356001.000}"#))
    );
    let second = acquired(world.run(acquire("r", "b", 1_000)));
    assert_eq!((second.acquired, second.holder.as_deref()), (false, Some("a")));
    assert_eq!((second.expires_at, second.fencing_token), (None, None));
    assert_eq!(second.reason.as_deref(), Some("Held by 'a'"));
    assert_eq!(second.retry_at, Some(ClusterMs(START_MS + 1_000)));
    assert_eq!(world.revision(), 1);
}

#[test]
fn the_holder_asking_again_keeps_its_token_and_gets_the_new_deadline() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1_000));
    world.advance_ms(500);
    let again = acquired(world.run(acquire("r", "a", 1_000)));
    assert_eq!((again.acquired, again.fencing_token), (true, Some(Revision(1))));
    assert_eq!(again.expires_at, Some(ClusterMs(START_MS + 1_500)));
    assert_eq!(world.last_event().action, Action::LeaseRenew);
}

#[test]
fn an_expired_lease_is_free_and_its_holder_is_out() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1_000));
    world.advance_ms(1_000);
    assert_eq!(renewed(world.run(renew("r", "a", 1_000, None))), (false, None));
    assert!(!released(world.run(release_lease("r", "a", None))));
    let taken = acquired(world.run(acquire("r", "b", 1_000)));
    assert_eq!(taken.fencing_token, Some(Revision(2)));
    assert_eq!(renewed(world.run(renew("r", "a", 1_000, Some(1)))), (false, None));
}

#[test]
fn the_same_holder_gets_a_new_token_once_its_lease_ran_out() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1));
    world.advance_ms(1);
    assert_eq!(acquired(world.run(acquire("r", "a", 1))).fencing_token, Some(Revision(2)));
    world.advance_ms(1);
    assert_eq!(world.run(Command::Sweep { limit: 1 }), Reply::Swept { removed: 1, more: false });
    assert_eq!(world.last_event().action, Action::LeaseExpire);
    assert_eq!(acquired(world.run(acquire("r", "a", 1))).fencing_token, Some(Revision(4)));
}

#[test]
fn renewal_and_release_take_only_the_holder_with_its_token() {
    let mut world = World::default();
    world.run(acquire("r", "a", 1_000));
    assert!(!renewed(world.run(renew("r", "b", 9_000, None))).0);
    assert!(!renewed(world.run(renew("r", "a", 9_000, Some(7)))).0);
    assert!(!renewed(world.run(renew("absent", "a", 9_000, None))).0);
    assert_eq!(renewed(world.run(renew("r", "a", 9_000, Some(1)))), (true, Some(9_000)));
    assert!(!released(world.run(release_lease("r", "b", None))));
    assert!(!released(world.run(release_lease("r", "a", Some(2)))));
    assert!(!released(world.run(release_lease("r", "b", Some(1)))));
    assert_eq!(world.revision(), 2);
    assert!(released(world.run(release_lease("r", "a", Some(1)))));
    assert!(!released(world.run(release_lease("r", "a", Some(1)))));
    assert_eq!(acquired(world.run(acquire("r", "b", 1))).fencing_token, Some(Revision(4)));
}

fn with_permits(holder_id: &str, permits: u32, ttl_ms: u64) -> Command {
    let (resource_id, holder_id) = ("r".into(), holder_id.into());
    Command::Acquire(Acquire { resource_id, holder_id, ttl_ms, permits, exclusive: false })
}

#[test]
fn so_many_hold_a_lease_at_a_time_as_there_are_permits() {
    let mut world = World::default();
    let tokens: Vec<_> = ["a", "b", "c"]
        .map(|holder| acquired(world.run(with_permits(holder, 3, 1_000))).fencing_token)
        .into();
    assert_eq!(tokens, [1, 2, 3].map(|token| Some(Revision(token))), "each has its own");
    let fourth = acquired(world.run(with_permits("d", 3, 1_000)));
    assert_eq!((fourth.acquired, fourth.reason.as_deref()), (false, Some("Held by 'a', 'b', 'c'")));
    assert!(released(world.run(release_lease("r", "b", Some(2)))));
    assert!(!released(world.run(release_lease("r", "b", Some(2)))));
    assert_eq!(acquired(world.run(with_permits("d", 3, 1_000))).fencing_token, Some(Revision(5)));
    assert_eq!(renewed(world.run(renew("r", "a", 2_000, Some(1)))), (true, Some(2_000)));
    let again = acquired(world.run(with_permits("c", 9, 3_000)));
    assert_eq!(again.fencing_token, Some(Revision(3)), "who has it keeps the token");
}

#[test]
fn each_permit_expires_by_itself_and_is_free_before_a_sweep() {
    let mut world = World::default();
    for (holder, ttl_ms) in [("a", 3_000), ("b", 1_000)] {
        assert!(acquired(world.run(with_permits(holder, 2, ttl_ms))).acquired);
    }
    let refused = acquired(world.run(with_permits("c", 2, 1_000)));
    assert_eq!(refused.holder.as_deref(), Some("b"), "the first to give it up");
    assert_eq!(refused.retry_at, Some(ClusterMs(START_MS + 1_000)));
    world.advance_ms(1_000);
    assert!(acquired(world.run(with_permits("c", 2, 1_000))).acquired);
    world.advance_ms(1_000);
    world.run(Command::Sweep { limit: 10 });
    assert_eq!(world.last_event().action, Action::LeaseExpire);
    let lease = &world.rows().leases["r"];
    assert_eq!(lease.holders.iter().map(|it| &*it.holder_id).collect::<Vec<_>>(), ["a"]);
    world.advance_ms(1_000);
    world.run(Command::Sweep { limit: 10 });
    assert!(world.rows().leases.is_empty());
}

#[test]
fn the_smallest_number_of_permits_counts() {
    let mut world = World::default();
    assert!(acquired(world.run(with_permits("a", 3, 1_000))).acquired);
    assert!(!acquired(world.run(acquire("r", "b", 1_000))).acquired, "it wants it alone");
    assert!(!acquired(world.run(with_permits("b", 1, 1_000))).acquired);
    assert!(acquired(world.run(with_permits("b", 2, 1_000))).acquired);
    assert!(!acquired(world.run(with_permits("c", 9, 1_000))).acquired, "'b' said two");
    assert!(released(world.run(release_lease("r", "b", None))));
    assert!(acquired(world.run(with_permits("c", 9, 1_000))).acquired);
    world.advance_ms(1_000);
    assert!(acquired(world.run(acquire("r", "d", 1_000))).acquired);
    assert!(!acquired(world.run(with_permits("a", 3, 1_000))).acquired, "'d' has it alone");
}

#[test]
fn the_token_of_any_holder_is_a_fence() {
    let mut world = World::default();
    for holder in ["a", "b"] {
        world.run(with_permits(holder, 2, 1_000));
    }
    let fenced = |token| {
        let fence = Some(Fence { resource_id: "r".into(), token: Revision(token) });
        Command::Set(Set { fence, ..set_of("k", "1") })
    };
    assert!(written(world.run(fenced(1))).ok && written(world.run(fenced(2))).ok);
    let refused = written(world.run(fenced(3)));
    let reason = "fence: lease 'r' is held with tokens 1, 2, not 3";
    assert_eq!((refused.ok, refused.reason.as_deref()), (false, Some(reason)));
}
