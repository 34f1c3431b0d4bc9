//! Stories of schedules: each firing creates one run, however often it is proposed.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::lookup::{Due, DueSchedule};
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::reply::ScheduleFired;
use mcp_state_sidecar::machine::row::ScheduleRow;
use mcp_state_sidecar::machine::size::ROW_BYTES;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::timetable::{FiringMs, Overlap, Timetable};
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::run;
use crate::world::{START_MS, World};

const MINUTE_MS: u64 = 60_000;

fn every_minute(name: &str) -> SetSchedule {
    SetSchedule {
        name: name.into(),
        timetable: Timetable::Every { ms: MINUTE_MS },
        template: create_of("report"),
        overlap: Overlap::Queue,
        first_at: None,
        agent_id: Some("boss".into()),
    }
}

fn nightly(first_at: u64) -> SetSchedule {
    let (expression, time_zone) = ("0 3 * * *".into(), "UTC".into());
    SetSchedule {
        timetable: Timetable::Cron { expression, time_zone },
        first_at: Some(FiringMs(first_at)),
        ..every_minute("s")
    }
}

fn world_with(set: SetSchedule) -> World {
    let mut world = World::default();
    set_in(&mut world, set);
    world
}

fn set_in(world: &mut World, set: SetSchedule) -> Option<FiringMs> {
    match world.run(Command::SetSchedule(Box::new(set))) {
        Reply::ScheduleSet { next_at, .. } => next_at,
        other => panic!("{other:?}"),
    }
}

fn due(world: &World) -> Due {
    let Ok(due) = lookup::due(&world.tables, ClusterMs(world.now_ms), WallMs(world.now_ms));
    due
}

/// What whoever sweeps proposes, for an interval.
fn proposals(world: &World) -> Vec<FireSchedule> {
    let proposal = |DueSchedule { name, due_at, present, .. }: DueSchedule| {
        let missed = (present.0 - due_at.0) / MINUTE_MS;
        let next_at = Some(due_at.plus((missed + 1) * MINUTE_MS));
        FireSchedule { name, due_at, next_at, missed, error: None }
    };
    due(world).schedules.into_iter().map(proposal).collect()
}

fn fire(world: &mut World, proposal: &FireSchedule) -> ScheduleFired {
    fired(world.run(Command::FireSchedule(proposal.clone())))
}

fn fired(reply: Reply) -> ScheduleFired {
    match reply {
        Reply::ScheduleFired(fired) => fired,
        other => panic!("{other:?}"),
    }
}

/// Proposes what is due, and returns the run that was created.
fn sweep(world: &mut World) -> Option<Text> {
    let proposals = proposals(world);
    let fired: Vec<_> = proposals.iter().map(|proposal| fire(world, proposal)).collect();
    fired.into_iter().find_map(|fired| fired.run_id)
}

fn row(world: &World, name: &str) -> ScheduleRow {
    world.rows().schedules[name].clone()
}

#[test]
fn each_firing_creates_one_run_from_the_template() {
    let template = Create {
        input: Some(Json::new("{\"of\":\"day\"}")),
        tags: [("team".into(), "data".into())].into(),
        priority: 7,
        max_attempts: 3,
        start_within_ms: Some(500),
        ..create_of("report")
    };
    let mut world = world_with(SetSchedule { template, ..every_minute("s") });
    assert_eq!(row(&world, "s").next_at, Some(FiringMs(START_MS + MINUTE_MS)));
    world.advance_ms(MINUTE_MS - 1);
    assert_eq!(due(&world), Due::default(), "it is not time yet");
    world.advance_ms(1);
    let run_id = sweep(&mut world).expect("a run");
    let created = run(&world, &run_id);
    assert_eq!((&*created.name, created.priority, created.max_attempts), ("report", 7, 3));
    assert_eq!(created.input, Some(Json::new("{\"of\":\"day\"}")));
    assert_eq!(created.start_by, Some(ClusterMs(world.now_ms + 500)));
    assert_eq!(due(&world), Due::default(), "the firing is done");
    let after = row(&world, "s");
    assert_eq!((after.fired, after.missed, after.skipped), (1, 0, 0));
    assert_eq!((after.last_run_id, after.last_error), (Some(run_id), None));
    assert_eq!(after.next_at, Some(FiringMs(START_MS + 2 * MINUTE_MS)));
    let event = world.last_event();
    assert_eq!((event.action, &*event.subject), (Action::ScheduleFire, "schedule:s"));
    let told = r#"{"due_at":1795356060.000,"run_id":"wf-000000000002","missed":0,"next_at":1795356120.000}"#;
    assert_eq!(event.new, Some(Json::new(told)));
}

#[test]
fn a_firing_that_is_proposed_again_does_nothing() {
    let mut world = world_with(every_minute("s"));
    world.advance_ms(MINUTE_MS);
    let [proposal] = &proposals(&world)[..] else { panic!("one is due") };
    // Two nodes propose it, and one of them again after a change of leader.
    let first = fire(&mut world, proposal);
    assert!(first.fired && first.run_id.is_some());
    let revision = world.revision();
    for _ in 0..3 {
        let again = fire(&mut world, proposal);
        assert_eq!(again, ScheduleFired { fired: false, run_id: None, error: None });
    }
    world.advance_ms(10 * MINUTE_MS);
    assert!(!fire(&mut world, proposal).fired, "the same firing, however late");
    assert_eq!((world.revision(), world.rows().runs.len()), (revision, 1));
}

#[test]
fn a_firing_that_nobody_asked_for_does_nothing() {
    let mut world = world_with(every_minute("s"));
    let next_at = row(&world, "s").next_at.unwrap();
    let early = FireSchedule {
        name: "s".into(),
        due_at: next_at,
        next_at: Some(next_at.plus(MINUTE_MS)),
        missed: 0,
        error: None,
    };
    assert!(!fire(&mut world, &early).fired, "a proposer's clock is ahead");
    let other = FireSchedule { name: "none".into(), ..early.clone() };
    assert!(!fire(&mut world, &other).fired);
    world.advance_ms(MINUTE_MS);
    // The firing that comes next never lies behind the one that is carried out.
    let back = FireSchedule { next_at: Some(FiringMs(5)), ..early };
    assert!(fire(&mut world, &back).fired);
    assert_eq!(row(&world, "s").next_at, None);
    assert_eq!(due(&world), Due::default());
}

#[test]
fn missed_firings_are_counted_and_caught_up_once() {
    let mut world = world_with(every_minute("s"));
    world.advance_ms(5 * MINUTE_MS + 1);
    assert!(sweep(&mut world).is_some());
    assert_eq!(sweep(&mut world), None, "caught up at most once");
    let after = row(&world, "s");
    assert_eq!((after.fired, after.missed), (1, 4));
    assert_eq!(after.next_at, Some(FiringMs(START_MS + 6 * MINUTE_MS)));
}

#[test]
fn a_firing_skips_while_the_last_run_is_not_over() {
    let mut world = world_with(SetSchedule { overlap: Overlap::Skip, ..every_minute("s") });
    world.advance_ms(MINUTE_MS);
    let first = sweep(&mut world).expect("a run");
    world.advance_ms(MINUTE_MS);
    assert_eq!(sweep(&mut world), None);
    let skipped = row(&world, "s");
    assert_eq!((skipped.fired, skipped.skipped), (1, 1));
    assert_eq!(skipped.last_run_id, Some(first.clone()));
    let told = world.last_event().new.unwrap().to_string();
    assert!(told.contains(r#""skipped":true"#), "{told}");
    moved(world.run(complete(&first, Claimant::default())));
    world.advance_ms(MINUTE_MS);
    assert!(sweep(&mut world).is_some_and(|second| second != first));
}

#[test]
fn a_run_that_time_has_ended_is_over() {
    let template = Create { start_within_ms: Some(1_000), ..create_of("report") };
    let set = SetSchedule { overlap: Overlap::Skip, template, ..every_minute("s") };
    let mut world = world_with(set);
    world.advance_ms(MINUTE_MS);
    sweep(&mut world).expect("a run");
    world.advance_ms(MINUTE_MS);
    assert!(sweep(&mut world).is_some(), "the sweep has not recorded the end of the first one");
}

#[test]
fn a_firing_replaces_the_last_run_and_all_below_it() {
    let mut world = world_with(SetSchedule { overlap: Overlap::Replace, ..every_minute("s") });
    world.advance_ms(MINUTE_MS);
    let first = sweep(&mut world).expect("a run");
    let child = Create { parent_run_id: Some(first.clone()), ..create_of("child") };
    let child = created(world.run(Command::Create(child)));
    world.advance_ms(MINUTE_MS);
    let second = sweep(&mut world).expect("a run");
    for cancelled in [&*first, &*child] {
        assert_eq!(run(&world, cancelled).status, Status::Cancelled);
    }
    let why = "schedule 's' has fired again";
    assert_eq!(run(&world, &first).error.as_deref(), Some(why));
    assert_eq!(run(&world, &second).status, Status::Created);
}

#[test]
fn a_run_that_is_refused_does_not_stop_the_schedule() {
    let template = Create { parent_run_id: Some("wf-none".into()), ..create_of("report") };
    let mut world = world_with(SetSchedule { template, ..every_minute("s") });
    set_in(&mut world, every_minute("t"));
    world.advance_ms(MINUTE_MS);
    assert!(sweep(&mut world).is_some(), "the other one fires");
    let refused = row(&world, "s");
    assert_eq!((refused.fired, refused.missed), (0, 1));
    assert_eq!(refused.last_error.as_deref(), Some("Workflow 'wf-none' not found"));
    assert_eq!(refused.next_at, Some(FiringMs(START_MS + 2 * MINUTE_MS)));
}

#[test]
fn a_full_state_takes_no_run_and_keeps_the_last_one() {
    let template = Create { input: Some(Json::new("\"0123456789\"")), ..create_of("report") };
    let set = SetSchedule { overlap: Overlap::Replace, template, ..every_minute("s") };
    let mut world = world_with(set);
    world.advance_ms(MINUTE_MS);
    let first = sweep(&mut world).expect("a run");
    world.advance_ms(MINUTE_MS);
    let proposal = proposals(&world).remove(0);
    let mut envelope = world.envelope(Command::FireSchedule(proposal));
    envelope.limits.bytes_max = Some(world.tables.meta().state_bytes + ROW_BYTES);
    let refused = fired(world.step(&envelope));
    assert!(refused.fired && refused.run_id.is_none());
    assert!(refused.error.is_some_and(|error| error.contains("may be")), "it says why");
    assert_eq!(run(&world, &first).status, Status::Created, "the last run is not cancelled");
    assert_eq!((row(&world, "s").fired, row(&world, "s").missed), (1, 1));
    world.advance_ms(MINUTE_MS);
    assert!(sweep(&mut world).is_some());
    assert_eq!(row(&world, "s").last_error, None);
}

#[test]
fn a_schedule_that_is_set_again_keeps_its_time() {
    let mut world = world_with(every_minute("s"));
    world.advance_ms(MINUTE_MS / 2);
    let kept =
        set_in(&mut world, SetSchedule { template: create_of("other"), ..every_minute("s") });
    assert_eq!(kept, Some(FiringMs(START_MS + MINUTE_MS)), "a program that restarts sets it again");
    let slower = Timetable::Every { ms: 2 * MINUTE_MS };
    let moved = set_in(&mut world, SetSchedule { timetable: slower, ..every_minute("s") });
    assert_eq!(moved, Some(FiringMs(world.now_ms + 2 * MINUTE_MS)));
    let event = world.last_event();
    assert_eq!((event.action, event.actor.as_deref()), (Action::ScheduleSet, Some("boss")));
    assert!(event.previous.is_some());
}

#[test]
fn a_cron_expression_goes_by_the_wall_clock_and_an_interval_by_the_cluster_clock() {
    let mut world = world_with(nightly(START_MS + MINUTE_MS));
    set_in(&mut world, every_minute("t"));
    let names = |clock: u64, wall: u64| -> Vec<String> {
        let Ok(due) = lookup::due(&world.tables, ClusterMs(clock), WallMs(wall));
        due.schedules.iter().map(|due| due.name.to_string()).collect()
    };
    // A cluster clock may lag behind after changes of the leader, and a wall clock may be set.
    assert_eq!(names(START_MS, START_MS + MINUTE_MS), ["s"]);
    assert_eq!(names(START_MS + MINUTE_MS, START_MS), ["t"]);
    assert_eq!(names(START_MS, START_MS), [""; 0]);
}

#[test]
fn without_a_next_time_a_schedule_rests_until_it_is_set_again() {
    let mut world = world_with(nightly(START_MS + 5));
    world.advance_ms(5);
    let fire = FireSchedule {
        name: "s".into(),
        due_at: FiringMs(START_MS + 5),
        next_at: None,
        missed: 0,
        error: Some("the time zone 'Mars/Olympus' is not known".into()),
    };
    let last = fired(world.run(Command::FireSchedule(fire)));
    assert!(last.run_id.is_some() && last.error.is_some());
    let resting = row(&world, "s");
    assert_eq!((resting.next_at, resting.last_error), (None, last.error));
    world.advance_ms(1_000 * MINUTE_MS);
    assert_eq!(due(&world), Due::default());
    let again = nightly(world.now_ms);
    assert_eq!(set_in(&mut world, again), Some(FiringMs(world.now_ms)));
    assert_eq!(row(&world, "s").last_error, None);
}

#[test]
fn a_schedule_is_no_work_for_the_sweep() {
    let mut world = world_with(every_minute("s"));
    world.advance_ms(MINUTE_MS);
    assert!(!due(&world).sweep, "or it would sweep for ever");
    let swept = world.run(Command::Sweep { limit: 10 });
    assert_eq!(swept, Reply::Swept { removed: 0, more: false });
    let Ok(deadline) = lookup::next_deadline(&world.tables, ClusterMs(START_MS));
    assert_eq!(deadline, None, "no answer changes before somebody fires it");
}

#[test]
fn a_deleted_schedule_and_one_before_a_reset_fire_no_more() {
    let mut world = world_with(every_minute("s"));
    set_in(&mut world, every_minute("t"));
    world.advance_ms(MINUTE_MS);
    let proposals = proposals(&world);
    let delete = |name: &str| {
        let agent_id = None;
        Command::DeleteSchedule(DeleteSchedule { name: name.into(), agent_id })
    };
    for ok in [true, false] {
        let name = "s".into();
        assert_eq!(world.run(delete("s")), Reply::ScheduleDeleted { ok, name });
    }
    assert_eq!(world.last_event().action, Action::ScheduleDelete);
    assert_eq!(world.run(Command::Reset), Reply::Reset { cleared: 1 });
    for proposal in &proposals {
        assert!(!fire(&mut world, proposal).fired);
    }
    assert!(world.rows().runs.is_empty());
    assert_eq!(world.tables.meta().counts, Default::default());
}

#[test]
fn schedules_are_listed_by_name() {
    let mut world = World::default();
    for name in ["b", "a", "ab", "c"] {
        set_in(&mut world, every_minute(name));
    }
    let list = |prefix: &str, after: Option<&str>, rows| {
        let scan = Scan { prefix: prefix.into(), after: after.map(Into::into) };
        match world.ask(Question::Schedules { scan, page: Page::of_rows(rows) }) {
            Answer::Schedules { rows, next } => {
                let names: Vec<String> = rows.iter().map(|(name, _)| name.to_string()).collect();
                (names.join(" "), next.map(|next| next.to_string()))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list("", None, 9), ("a ab b c".into(), None));
    assert_eq!(list("a", None, 9), ("a ab".into(), None));
    assert_eq!(list("", None, 2), ("a ab".into(), Some("ab".into())));
    assert_eq!(list("", Some("ab"), 2), ("b c".into(), None));
}

#[test]
fn what_has_to_do_with_schedules_waits_until_all_nodes_know_it() {
    let set = Command::SetSchedule(Box::new(every_minute("s")));
    let delete = Command::DeleteSchedule(DeleteSchedule { name: "s".into(), agent_id: None });
    for command in [set, delete] {
        assert_eq!(command.kind().rules, Rules::Attempts, "{command:?}");
    }
}
