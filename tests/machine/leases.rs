//! Stories of leases.

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
