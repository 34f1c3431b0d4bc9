//! References by chance, with whatever can be in their tables.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::checked::converted;
use super::{run, step};
use crate::machine::row::Status;
use crate::machine::{Json, Text};
use crate::store::reference::{Entry, Key, Lease, Reference, Run, Session};

/// Whatever is in the tables. `SEED` gives the same again.
#[test]
fn any_reference_becomes_a_state() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("any_reference_becomes_a_state: SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        converted(&any(&mut chance));
    }
}

fn any(chance: &mut StdRng) -> Reference {
    const STATUSES: [Status; 6] = [
        Status::Created,
        Status::Claimed,
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
    ];
    let mut names = |most: usize| -> BTreeSet<String> {
        let count = chance.random_range(0..=most);
        (0..count).map(|_| format!("n{}", chance.random_range(0..8))).collect()
    };
    let (keys, leases, runs, sessions, stepped) =
        (names(6), names(4), names(6), names(4), names(8));
    let at = |chance: &mut StdRng| 1.8e9 + chance.random_range(-1000..200) as f64 / 8.0;
    let value = |chance: &mut StdRng| Json::new(chance.random_range(0..3).to_string());
    let agent = |chance: &mut StdRng| match chance.random_range(0..3) {
        0 => None,
        n => Some(Text::from(format!("agent-{n}"))),
    };
    Reference {
        keys: keys
            .iter()
            .map(|name| {
                let expires_at = chance.random_bool(0.5).then(|| at(chance));
                Key { key: (&**name).into(), value: value(chance), expires_at }
            })
            .collect(),
        leases: leases
            .iter()
            .map(|name| Lease {
                resource_id: (&**name).into(),
                holder_id: agent(chance).unwrap_or_else(|| "".into()),
                expires_at: at(chance),
            })
            .collect(),
        runs: runs
            .iter()
            .map(|name| Run {
                status: STATUSES[chance.random_range(0..STATUSES.len())],
                agent_id: agent(chance),
                created_at: at(chance),
                updated_at: at(chance),
                ..run(name, Status::Created, None, chance.random_range(-1..5))
            })
            .collect(),
        steps: stepped
            .iter()
            .flat_map(|name| (-1..3).map(move |n| (name, n)))
            .filter(|_| chance.random_bool(0.5))
            .map(|(name, n)| step(name, n))
            .collect(),
        sessions: sessions
            .iter()
            .map(|name| Session {
                session_id: (&**name).into(),
                context: value(chance),
                saved_at: chance.random_bool(0.7).then(|| at(chance)),
                updated_at: chance.random_bool(0.7).then(|| at(chance)),
            })
            .collect(),
        history: (0..chance.random_range(0..12))
            .map(|_| Entry {
                key: format!("n{}", chance.random_range(0..8)).into(),
                new: value(chance),
                previous: chance.random_bool(0.5).then(|| value(chance)),
                agent_id: agent(chance),
                written_at: at(chance),
            })
            .collect(),
    }
}
