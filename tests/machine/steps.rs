//! Work in bounded steps: large pieces of it are begun by a command and carried
//! on by the sweep, and nobody sees that it is not all done yet.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::filter::*;
use mcp_state_sidecar::machine::page::*;
use mcp_state_sidecar::machine::query::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::search::SEEKS_MAX;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::commands::*;
use crate::counted::{Counted, READS_MAX};
use crate::runs::{reason, run};
use crate::world::{START_MS, World};

/// A state that is too large to be checked after each command.
#[derive(Default)]
struct Large {
    tables: Tables,
    position: u64,
    now_ms: u64,
}

impl Large {
    fn run_by(&mut self, rules: Rules, command: Command) -> Reply {
        self.position += 1;
        let envelope = Envelope {
            origin: None,
            idempotency: None,
            actor: None,
            random: self.position,
            wall: WallMs(START_MS + self.now_ms),
            clock: ClusterMs(START_MS + self.now_ms),
            limits: Default::default(),
            rules,
            command,
        };
        let counted = Counted::new(&self.tables, footprint(&envelope));
        let Ok(decision) = decide(&envelope, &counted);
        if rules >= Rules::Stepwise {
            let reads = counted.reads() + decision.changes.len();
            assert!(reads < READS_MAX, "{:?}: {reads} reads", envelope.command);
        }
        self.tables.apply(&decision);
        decision.reply
    }

    fn run(&mut self, command: Command) -> Reply {
        self.run_by(Rules::Stepwise, command)
    }

    fn sweep(&mut self) -> usize {
        let mut sweeps = 1;
        while let Reply::Swept { more: true, .. } = self.run(Command::Sweep { limit: 500 }) {
            sweeps += 1;
            assert!(sweeps < 1_000, "sweeping has no end");
        }
        self.tables.check_entries().expect("the entries are those of the rows");
        sweeps
    }

    fn ask(&self, question: Question) -> Answer {
        let now = ClusterMs(START_MS + self.now_ms);
        let counted = Counted::new(&self.tables, Footprint::default());
        let Ok(answer) = answer(&question, &counted, now);
        assert!(counted.reads() < READS_MAX, "{question:?}: {} reads", counted.reads());
        answer
    }

    fn status(&self, run_id: &str) -> Status {
        match self.ask(Question::Run { run_id: run_id.into() }) {
            Answer::Run { run: Some(run), .. } => run.status,
            other => panic!("{other:?}"),
        }
    }
}

fn child(name: &str, parent: &str) -> Command {
    Command::Create(Create { parent_run_id: Some(parent.into()), ..create_of(name) })
}

#[test]
fn below_a_cancelled_run_all_count_as_cancelled_at_once() {
    let mut large = Large::default();
    let root = created(large.run(create("root")));
    let children: Vec<_> = (0..1_500).map(|_| created(large.run(child("c", &root)))).collect();
    let last = children.last().expect("there are some").clone();
    let grandchild = created(large.run(child("g", &last)));
    let below_done = created(large.run(child("g", &children[1_400])));
    large.run(complete(&children[1_400], claimant("", 0)));
    assert!(moved(large.run(cancel(&root))).ok);
    for run_id in [&last, &grandchild, &below_done] {
        assert_eq!(large.status(run_id), Status::Cancelled, "{run_id}");
        assert_eq!(
            reason(large.run(claim(run_id, "a", 1))),
            "Workflow is in status 'cancelled' (agent: None)"
        );
        assert!(!checkpointed(large.run(checkpoint(run_id, 1, claimant("", 0)))).ok);
        assert!(!moved(large.run(complete(run_id, claimant("", 0)))).ok);
        assert!(!moved(large.run(cancel(run_id))).ok);
        let refused = large.run(child("late", run_id));
        assert!(matches!(refused, Reply::Refused(_)), "{refused:?}");
    }
    assert!(matches!(large.run(child("late", &children[1_400])), Reply::Refused(_)));
    // Nobody is given one of them, however many stand in front of the queue.
    let other = created(large.run(create("other")));
    let mut after = None;
    let taken = loop {
        let next = ClaimNext { after, ..claim_next("a") };
        let Reply::Claimed(claimed) = large.run(Command::ClaimNext(next)) else { panic!() };
        match claimed.searched {
            Some(searched) => after = Some(searched),
            None => break claimed,
        }
    };
    assert_eq!(taken.run_id.as_deref(), Some(&*other));
    assert!(large.sweep() >= 3, "more was done at once than may be");
    assert_eq!(large.tables.meta().counts.cancellations, 0);
    for run_id in [&last, &grandchild, &below_done] {
        let stored = lookup::stored_run(&large.tables, &run_id.as_str().into()).unwrap();
        assert_eq!(stored.map(|run| run.status), Some(Status::Cancelled), "{run_id}");
    }
    assert_eq!(large.status(&children[1_400]), Status::Done);
}

#[test]
fn a_small_tree_is_cancelled_in_one_step() {
    let mut world = World::default();
    let root = created(world.run(create("root")));
    let inner = created(world.run(child("inner", &root)));
    let leaf = created(world.run(child("leaf", &inner)));
    world.run(cancel(&root));
    assert_eq!(world.rows().cancellations.len(), 0);
    assert_eq!(run(&world, &leaf).status, Status::Cancelled);
}

#[test]
fn cancellations_are_carried_on_one_after_another_with_their_own_reasons() {
    let mut large = Large::default();
    let roots = ["first", "second"].map(|name| {
        let root = created(large.run(create(name)));
        let last = (0..300).map(|_| created(large.run(child("c", &root)))).last();
        (root, last.expect("there are some"))
    });
    for ((root, _), why) in roots.iter().zip(["one", "two"]) {
        let (run_id, agent_id) = (root.as_str().into(), Some("boss".into()));
        large.run(Command::Cancel(Cancel { run_id, reason: Some(why.into()), agent_id }));
    }
    assert_eq!(large.tables.meta().counts.cancellations, 2);
    large.sweep();
    for ((_, last), why) in roots.iter().zip(["one", "two"]) {
        let stored = lookup::stored_run(&large.tables, &last.as_str().into()).unwrap().unwrap();
        assert_eq!(stored.error.as_deref(), Some(why));
    }
}

#[test]
fn runs_whose_time_has_come_are_promoted_piece_by_piece_and_none_is_lost() {
    let mut large = Large::default();
    let delayed = |large: &mut Large, name: &str| {
        created(large.run(Command::Create(Create { delay_ms: Some(1_000), ..create_of(name) })))
    };
    let crowd: Vec<_> = (0..700).map(|_| delayed(&mut large, "crowd")).collect();
    let rare = delayed(&mut large, "rare");
    large.now_ms += 1_000;
    let next = ClaimNext { names: ["rare".into()].into(), ..claim_next("a") };
    let Reply::Claimed(claimed) = large.run(Command::ClaimNext(next)) else { panic!() };
    assert_eq!(claimed.run_id.as_deref(), Some(&*rare), "others that are due hide it");
    let mut taken = Vec::new();
    for at in 0..700 {
        if at == 300 {
            large.sweep();
        }
        let next = ClaimNext { claim_ttl_ms: 60_000, ..claim_next("b") };
        let Reply::Claimed(claimed) = large.run(Command::ClaimNext(next)) else { panic!() };
        taken.extend(claimed.run_id.map(|run_id| run_id.to_string()));
    }
    taken.sort();
    let mut all = crowd;
    all.sort();
    assert_eq!(taken, all);
}

#[test]
fn what_two_large_crowds_do_not_have_in_common_is_searched_in_pieces() {
    let mut large = Large::default();
    let tagged = |large: &mut Large, name: &str, value: &str| {
        let tags = [("t".into(), value.into())].into();
        created(large.run(Command::Create(Create { tags, ..create_of(name) })))
    };
    // In turn, so that neither of the two leads past the other.
    for _ in 0..SEEKS_MAX {
        tagged(&mut large, "wanted", "other");
        tagged(&mut large, "other", "wanted");
    }
    let both = tagged(&mut large, "wanted", "wanted");
    let (mut after, mut tries) = (None, 0);
    let found = loop {
        tries += 1;
        let tags = [("t".into(), "wanted".into())].into();
        let next = ClaimNext { names: ["wanted".into()].into(), tags, after, ..claim_next("a") };
        let Reply::Claimed(claimed) = large.run(Command::ClaimNext(next)) else { panic!() };
        assert!(claimed.claimed || claimed.searched.is_some(), "{claimed:?}");
        match claimed.searched {
            Some(searched) => after = Some(searched),
            None => break claimed.run_id,
        }
    };
    assert_eq!(found.as_deref(), Some(&*both));
    assert!(tries > 1, "the search was not in pieces, so this test says nothing");
    let filter = RunFilter {
        tags: [("t".into(), "wanted".into())].into(),
        status: Some(Status::Claimed),
        claimable: None,
        ..Default::default()
    };
    let page = Page::of_rows(10);
    let Answer::Runs { rows, .. } = large.ask(Question::Runs { filter, before: None, page }) else {
        panic!()
    };
    assert_eq!(rows.len(), 1);
}

#[test]
fn a_page_ends_although_all_that_it_passes_is_over() {
    let mut large = Large::default();
    for at in 0..2_500 {
        large.run(Command::Set(Set { ttl_ms: Some(10), ..set_of(&format!("k{at:05}"), "1") }));
    }
    large.run(set("live", "1"));
    large.now_ms += 10;
    let (mut after, mut pages, mut found) = (None, 0, Vec::new());
    loop {
        let scan = Scan { prefix: "".into(), after };
        let page = Page::of_rows(10);
        let Answer::Keys { rows, next } = large.ask(Question::Keys { scan, page }) else {
            panic!()
        };
        found.extend(rows.into_iter().map(|(key, _)| key));
        pages += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [Text::from("live")]);
    assert!((3..=5).contains(&pages), "{pages} pages");
    large.sweep();
    assert_eq!(large.tables.meta().counts.keys, 1);
}

#[test]
fn the_first_rules_do_all_at_once_and_in_their_own_order() {
    let mut large = Large::default();
    let whole = Rules::Whole;
    let root = created(large.run_by(whole, create("root")));
    let children: Vec<_> =
        (0..150).map(|_| created(large.run_by(whole, child("c", &root)))).collect();
    let grandchild = created(large.run_by(whole, child("g", &children[0])));
    large.run_by(whole, cancel(&root));
    assert_eq!(large.tables.meta().counts.cancellations, 0);
    let at = |run_id: &str| {
        lookup::stored_run(&large.tables, &run_id.into()).unwrap().expect("it is there").revision
    };
    assert!(at(&grandchild) > at(&children[149]), "level by level, as the first version did");
    // And they promote nothing and remember that there was no work.
    let mut world = World::default();
    let claim = || Command::ClaimNext(claim_next("a"));
    let mut asked = |rules| {
        let mut envelope = Envelope { rules, ..world.envelope(claim()) };
        envelope.idempotency = Some(Idempotency { key: "i".into(), digest: [0; 32] });
        world.step(&envelope);
        world.rows().requests.len()
    };
    assert_eq!(asked(Rules::Stepwise), 0);
    assert_eq!(asked(whole), 1);
}

#[test]
fn runs_nest_so_deep_and_no_deeper() {
    let mut large = Large::default();
    let mut above = created(large.run(create("top")));
    for _ in 0..lookup::DEPTH_MAX {
        above = created(large.run(child("c", &above)));
    }
    assert!(matches!(large.run(child("too deep", &above)), Reply::Refused(_)));
}

#[test]
fn a_claim_of_any_name_finds_its_run_behind_a_crowd_that_is_paused() {
    let mut large = Large::default();
    for _ in 0..2_500 {
        created(large.run(Command::Create(Create { priority: 1, ..create_of("paused") })));
    }
    let other = created(large.run(create("other")));
    let pause = Pause { name: "paused".into(), resume: false, agent_id: None };
    large.run_by(Rules::Attempts, Command::Pause(pause));
    let (mut after, mut tries) = (None, 0);
    let found = loop {
        tries += 1;
        let next = Command::ClaimNext(ClaimNext { after, ..claim_next("a") });
        let Reply::Claimed(claimed) = large.run_by(Rules::Attempts, next) else { panic!() };
        match claimed.searched {
            Some(searched) => after = Some(searched),
            None => break claimed.run_id,
        }
    };
    assert_eq!(found.as_deref(), Some(&*other));
    assert!((2..=4).contains(&tries), "{tries} steps");
    let named = ClaimNext { names: ["paused".into()].into(), ..claim_next("a") };
    let Reply::Claimed(nothing) = large.run_by(Rules::Attempts, Command::ClaimNext(named)) else {
        panic!()
    };
    assert!(!nothing.claimed && nothing.searched.is_none(), "nothing is searched at all");
}
