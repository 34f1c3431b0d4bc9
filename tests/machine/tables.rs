//! Tables at size: look-ups read little, and memory stays bounded.

use mcp_state_sidecar::machine::command::Create;
use mcp_state_sidecar::machine::filter::{ClaimFilter, RunFilter};
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::query::Candidate;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::allocated::allocated_bytes;
use crate::commands::*;
use crate::counted::Counted;
use crate::world::START_MS;

const RUNS: u64 = 20_000;

fn apply(tables: &mut Tables, position: u64, command: Command) {
    let envelope = Envelope {
        origin: None,
        idempotency: None,
        actor: None,
        random: position,
        wall: WallMs(START_MS),
        clock: ClusterMs(START_MS),
        limits: Default::default(),
        rules: Rules::Attempts,
        command,
    };
    let Ok(decision) = decide(&envelope, tables);
    tables.apply(&decision);
}

/// Many runs that are held for a long time, and one that waits.
fn many_held_runs() -> Tables {
    let mut tables = Tables::default();
    for position in 0..RUNS {
        let tags = [("n".into(), format!("{}", position % 1_000).into())].into();
        let name = if position == RUNS / 2 { "rare" } else { "common" };
        apply(&mut tables, position, Command::Create(Create { tags, ..create_of(name) }));
        if name == "common" {
            let run_id = format!("wf-{position:012x}");
            apply(&mut tables, position, claim(&run_id, "a", 1_000_000));
        }
    }
    tables
}

/// The most rows and entries that a look-up may read beside many others.
const READS_MAX: usize = 20;

#[test]
fn looking_for_work_does_not_scan_all_runs() {
    let tables = many_held_runs();
    let now = ClusterMs(START_MS);
    let rare = ClaimFilter { names: ["rare".into()].into(), ..ClaimFilter::default() };
    for filter in [ClaimFilter::default(), rare] {
        let counted = Counted::new(&tables, Footprint::default());
        let found = lookup::candidate(&counted, &filter, None, &[], now);
        assert!(matches!(found, Ok(Candidate::Ready(_))), "{found:?}");
        assert!(counted.reads() <= READS_MAX, "{filter:?} read {}", counted.reads());
    }
    let claimable = RunFilter { status: Some(status::Status::Created), ..RunFilter::default() };
    let counted = Counted::new(&tables, Footprint::default());
    let listed = lookup::runs(&counted, &claimable, None, now, Page::of_rows(10)).unwrap().0;
    assert_eq!(listed.len(), 1);
    assert!(counted.reads() <= READS_MAX, "the list read {}", counted.reads());
}

#[test]
fn a_hundred_thousand_keys_stay_well_under_a_hundred_megabytes() {
    let before = allocated_bytes();
    let mut tables = Tables::default();
    for position in 0..100_000 {
        let value = format!("\"{}\"", "x".repeat(254));
        apply(&mut tables, 0, set(&format!("key-{position:08}"), &value));
    }
    let took_mb = (allocated_bytes() - before) >> 20;
    assert!((30..60).contains(&took_mb), "100,000 keys of 256 bytes took {took_mb} MB");
    assert_eq!(tables.meta().counts.keys, 100_000);
}
