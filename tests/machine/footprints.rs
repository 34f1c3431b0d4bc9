//! Footprints: what common commands and questions look at is fetched in one round
//! trip where it lies elsewhere.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::filter::*;
use mcp_state_sidecar::machine::footprint::of_question;
use mcp_state_sidecar::machine::page::*;
use mcp_state_sidecar::machine::query::Question;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::counted::Counted;
use crate::world::World;

/// A state with a bit of everything, and a run that waits for its time.
fn world() -> (World, String) {
    let mut world = World::default();
    world.run(set("k", "1"));
    let run_id = created(world.run(create("w")));
    world.run(Command::Create(Create { delay_ms: Some(60_000), ..create_of("later") }));
    world.run(claim(&run_id, "a", 60_000));
    world.run(create("w"));
    world.run(acquire("r", "a", 60_000));
    (world, run_id)
}

#[test]
fn common_commands_look_at_nothing_else() {
    let (mut world, run_id) = world();
    let parent_run_id = Some(Text::from(&*run_id));
    let commands = [
        set("k", "2"),
        delete("k"),
        Command::Set(Set { fence: fence("r", 7), ..set_of("k", "1") }),
        create("w"),
        Command::Create(Create { parent_run_id, ..create_of("c") }),
        claim(&run_id, "b", 1),
        Command::ClaimNext(claim_next("a")),
        Command::ClaimNext(ClaimNext { names: ["none".into()].into(), ..claim_next("a") }),
        Command::Heartbeat(held(&run_id, "a", 4)),
        checkpoint(&run_id, 1, claimant("a", 0)),
        complete(&run_id, claimant("a", 0)),
        fail(&run_id, true, claimant("a", 0)),
        acquire("r", "b", 1),
        renew("r", "a", 1, None),
        Command::SaveSession(save("s", "{}")),
        Command::Sweep { limit: 5 },
        Command::Reset,
    ];
    for command in commands {
        let mut envelope = world.envelope(command);
        envelope.idempotency = Some(Idempotency { key: "i".into(), digest: [0; 32] });
        let counted = Counted::new(&world.tables, footprint(&envelope));
        let Ok(_) = decide(&envelope, &counted);
        // The groups that count a run are known once its row has been read.
        let is_group = |id: &String| id.starts_with("Group(") && !is_create(&envelope.command);
        let outside: Vec<_> = counted.outside().into_iter().filter(|id| !is_group(id)).collect();
        assert_eq!(outside, [""; 0], "{:?}", envelope.command);
    }
}

fn is_create(command: &Command) -> bool {
    matches!(command, Command::Create(_))
}

#[test]
fn questions_look_at_nothing_else() {
    let (world, run_id) = world();
    let (now, page) = (world.clock(), Page::of_rows(10));
    let run_id: Text = run_id.as_str().into();
    let questions = [
        Question::Key { key: "k".into() },
        Question::Run { run_id: run_id.clone() },
        Question::Resume { run_id, from_step: 0, page },
        Question::Lease { resource_id: "r".into() },
        Question::Session { session_id: "s".into() },
        Question::Candidate { filter: ClaimFilter::default(), after: None },
        Question::Runs { filter: RunFilter::default(), before: None, page },
        Question::Counts,
    ];
    for question in questions {
        let counted = Counted::new(&world.tables, of_question(&question, now));
        let Ok(_) = answer(&question, &counted, now);
        assert_eq!(counted.outside(), [""; 0], "{question:?}");
    }
}
