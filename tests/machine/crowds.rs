//! What nobody asks for costs nothing: beside a crowd of rows of one kind, no
//! command and no question reads more than some hundreds of rows and entries.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::filter::*;
use mcp_state_sidecar::machine::page::*;
use mcp_state_sidecar::machine::query::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::commands::*;
use crate::counted::Counted;
use crate::world::START_MS;

/// Rows of a crowd: more than anything may look at.
const CROWD: u64 = 4_000;

/// What may be looked at: a search gives up after a thousand entries, and a list
/// after as many rows that it leaves out.
const READS_MAX: usize = 3_500;

const HOUR_MS: u64 = 3_600_000;

/// When a crowd is looked at: what was delayed by a second is due by then.
const LATER: ClusterMs = ClusterMs(START_MS + 2_000);

/// A state with a crowd, and a run whose children or steps may be the crowd.
struct Crowded {
    tables: Tables,
    random: u64,
    top: String,
}

impl Crowded {
    /// Of the rows that `row` makes.
    fn of(row: MakeRow) -> Crowded {
        let mut crowded = Crowded { tables: Tables::default(), random: 0, top: String::new() };
        crowded.top = created(crowded.run(create("top")));
        (0..CROWD).for_each(|n| row(&mut crowded, n));
        crowded
    }

    fn envelope(&mut self, clock: ClusterMs, command: Command) -> Envelope {
        self.random += 1;
        Envelope {
            origin: None,
            idempotency: None,
            actor: None,
            random: self.random,
            wall: WallMs(clock.0),
            clock,
            limits: Default::default(),
            rules: Rules::Attempts,
            command,
        }
    }

    fn run(&mut self, command: Command) -> Reply {
        let envelope = self.envelope(ClusterMs(START_MS), command);
        let Ok(decision) = decide(&envelope, &self.tables);
        self.tables.apply(&decision);
        decision.reply
    }

    fn create(&mut self, delay_ms: Option<u64>) -> String {
        let tags = [("team".into(), "crowd".into())].into();
        created(self.run(Command::Create(Create { tags, delay_ms, ..create_of("crowd") })))
    }

    /// How much the command reads and changes. Its changes are not kept.
    fn command(&mut self, command: Command) -> usize {
        let envelope = self.envelope(LATER, command);
        let counted = Counted::new(&self.tables, footprint(&envelope));
        let Ok(decision) = decide(&envelope, &counted);
        counted.reads() + decision.changes.len()
    }

    fn question(&self, question: &Question) -> usize {
        let counted = Counted::new(&self.tables, Footprint::default());
        let Ok(_) = answer(question, &counted, LATER);
        counted.reads()
    }
}

/// Makes one row of a crowd, the one of this number.
type MakeRow = fn(&mut Crowded, u64);

/// By name.
const CROWDS: [(&str, MakeRow); 11] = [
    ("runs that are ready", |crowded, _| drop(crowded.create(None))),
    ("runs that are due", |crowded, _| drop(crowded.create(Some(1_000)))),
    ("runs delayed for long", |crowded, _| drop(crowded.create(Some(HOUR_MS)))),
    ("runs that are claimed", |crowded, _| {
        let run_id = crowded.create(None);
        crowded.run(claim(&run_id, "a", HOUR_MS));
    }),
    ("claims that have lapsed", |crowded, _| {
        let run_id = crowded.create(None);
        crowded.run(claim(&run_id, "a", 1_000));
    }),
    ("children", |crowded, _| {
        let parent_run_id = Some(crowded.top.as_str().into());
        crowded.run(Command::Create(Create { parent_run_id, ..create_of("crowd") }));
    }),
    ("steps", |crowded, n| {
        let top = crowded.top.clone();
        crowded.run(checkpoint(&top, n, Claimant::default()));
    }),
    ("keys", |crowded, n| drop(crowded.run(set(&format!("k{n}"), "1")))),
    ("keys that have expired", |crowded, n| {
        let set = Set { ttl_ms: Some(1_000), ..set_of(&format!("k{n}"), "1") };
        crowded.run(Command::Set(set));
    }),
    ("leases that have ended", |crowded, n| {
        crowded.run(acquire(&format!("k{n}"), "a", 1_000));
    }),
    ("sessions", |crowded, n| {
        crowded.run(Command::SaveSession(save(&format!("k{n}"), "1")));
    }),
];

fn commands(top: &str) -> Vec<Command> {
    let tags = |value: &str| [("team".into(), "crowd".into()), ("kind".into(), value.into())];
    let next = |name: Option<&str>| ClaimNext {
        names: name.into_iter().map(Into::into).collect(),
        ..claim_next("a")
    };
    vec![
        Command::ClaimNext(next(None)),
        Command::ClaimNext(next(Some("crowd"))),
        Command::ClaimNext(next(Some("nobody's"))),
        Command::ClaimNext(ClaimNext { tags: tags("none").into(), ..next(None) }),
        Command::ClaimNext(ClaimNext { tags: tags("none").into(), ..next(Some("crowd")) }),
        claim(top, "a", 1_000),
        checkpoint(top, CROWD, Claimant::default()),
        complete(top, Claimant::default()),
        fail(top, true, Claimant::default()),
        cancel(top),
        create("one more"),
        Command::Create(Create { parent_run_id: Some(top.into()), ..create_of("one more") }),
        set("k1", "2"),
        delete("k1"),
        acquire("k1", "b", 1_000),
        Command::SaveSession(save("k1", "2")),
        Command::Sweep { limit: 0 },
        Command::Sweep { limit: 100 },
        Command::Reset,
    ]
}

fn questions(top: &str) -> Vec<Question> {
    let page = Page::of_rows(100);
    let (run_id, scan): (Text, _) = (top.into(), Scan::default());
    let tags = [("team".into(), "crowd".into()), ("kind".into(), "none".into())];
    let runs = |status, claimable, tagged: bool| {
        let tags = if tagged { tags.clone().into() } else { Default::default() };
        Question::Runs {
            filter: RunFilter { tags, status, claimable, ..Default::default() },
            before: None,
            page,
        }
    };
    let filter = ClaimFilter { tags: tags.clone().into(), ..ClaimFilter::default() };
    vec![
        Question::Key { key: "k1".into() },
        Question::Keys { scan: scan.clone(), page },
        Question::Run { run_id: run_id.clone() },
        Question::Resume { run_id, from_step: 0, page },
        runs(None, None, false),
        runs(None, Some(true), false),
        runs(None, Some(false), false),
        runs(None, Some(true), true),
        runs(Some(status::Status::Cancelled), None, false),
        runs(Some(status::Status::Claimed), None, true),
        Question::Candidate { filter: ClaimFilter::default(), after: None },
        Question::Candidate { filter, after: None },
        Question::Lease { resource_id: "k1".into() },
        Question::Leases { scan: scan.clone(), page },
        Question::Session { session_id: "k1".into() },
        Question::Sessions { scan, page },
        Question::Request { key: "k1".into() },
        Question::Counts,
    ]
}

#[test]
fn beside_a_crowd_nothing_looks_at_all_of_it() {
    for (name, row) in CROWDS {
        let mut crowded = Crowded::of(row);
        let top = crowded.top.clone();
        for command in commands(&top) {
            let reads = crowded.command(command.clone());
            assert!(reads < READS_MAX, "beside {name}, {command:?} reads {reads}");
        }
        for question in questions(&top) {
            let reads = crowded.question(&question);
            assert!(reads < READS_MAX, "beside {name}, {question:?} reads {reads}");
        }
    }
}
