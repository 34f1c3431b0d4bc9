//! Stories of paused names: nobody who asks for any run gets one of theirs.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::lookup::PAUSES_MAX;
use mcp_state_sidecar::machine::reply::Claimed;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::world::World;

fn pause(world: &mut World, name: &str, resume: bool) -> bool {
    let agent_id = Some("boss".into());
    match world.run(Command::Pause(Pause { name: name.into(), resume, agent_id })) {
        Reply::Paused { paused, changed, .. } => {
            assert_eq!(paused, !resume);
            changed
        }
        other => panic!("{other:?}"),
    }
}

fn next(world: &mut World, names: &[&str]) -> Claimed {
    let names = names.iter().map(|name| Text::from(*name)).collect();
    claimed(world.run(Command::ClaimNext(ClaimNext { names, ..claim_next("a") })))
}

#[test]
fn a_paused_name_is_passed_over_until_it_is_resumed() {
    let mut world = World::default();
    let paused = created(world.run(Command::Create(Create { priority: 9, ..create_of("p") })));
    let other = created(world.run(create("o")));
    assert!(pause(&mut world, "p", false));
    assert!(!pause(&mut world, "p", false), "it was paused before");
    assert!(!next(&mut world, &["p"]).claimed);
    assert_eq!(next(&mut world, &["p", "o"]).run_id.as_deref(), Some(&*other));
    assert!(!next(&mut world, &[]).claimed);
    let third = created(world.run(create("o")));
    assert_eq!(next(&mut world, &[]).run_id.as_deref(), Some(&*third));
    assert!(pause(&mut world, "p", true));
    assert!(!pause(&mut world, "p", true));
    assert_eq!(next(&mut world, &[]).run_id.as_deref(), Some(&*paused));
}

#[test]
fn a_run_of_a_paused_name_can_be_claimed_by_hand_and_goes_on() {
    let mut world = World::default();
    let run_id = created(world.run(create("p")));
    pause(&mut world, "p", false);
    let claim = claimed(world.run(claim(&run_id, "a", 1_000)));
    assert!(claim.claimed);
    let token = claim.claim_token.expect("a token").0;
    let beat = held(&run_id, "a", token);
    assert!(moved(world.run(Command::Heartbeat(beat.clone()))).ok);
    assert!(moved(world.run(Command::Release(beat))).ok);
    assert!(!next(&mut world, &["p"]).claimed, "it waits for the end of the pause");
}

#[test]
fn a_pause_says_in_the_history_who_began_and_ended_it() {
    let mut world = World::default();
    for (resume, action) in [(false, Action::WorkflowPause), (true, Action::WorkflowUnpause)] {
        pause(&mut world, "p", resume);
        let event = world.last_event();
        assert_eq!((event.action, &*event.subject), (action, "pause:p"));
        assert_eq!(event.actor.as_deref(), Some("boss"));
    }
}

#[test]
fn so_many_names_can_be_paused_and_no_more() {
    let mut world = World::default();
    for at in 0..PAUSES_MAX {
        pause(&mut world, &at.to_string(), false);
    }
    let more = Command::Pause(Pause { name: "more".into(), resume: false, agent_id: None });
    let Reply::Refused(refused) = world.run(more.clone()) else { panic!("one too many") };
    assert_eq!(refused.code, RefusalCode::QuotaExceeded);
    pause(&mut world, "0", true);
    assert!(matches!(world.run(more), Reply::Paused { changed: true, .. }));
}

#[test]
fn a_reset_ends_every_pause() {
    let mut world = World::default();
    pause(&mut world, "p", false);
    world.run(Command::Reset);
    let run_id = created(world.run(create("p")));
    assert_eq!(next(&mut world, &[]).run_id.as_deref(), Some(&*run_id));
}
