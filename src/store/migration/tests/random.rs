//! Conversions of random data, with everything that the reference's tables can
//! hold.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::examples::{run, step};
use super::properties::converted;
use crate::machine::status::Status;
use crate::machine::{Json, Text};
use crate::store::migration::{
    Reference, ReferenceKey, ReferenceLease, ReferenceRun, ReferenceSession, ReferenceSet,
};

/// With `SEED` in the environment it repeats a run.
#[test]
fn every_reference_becomes_a_valid_state() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("every_reference_becomes_a_valid_state: SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        converted(&random_reference(&mut rng));
    }
}

fn random_reference(rng: &mut StdRng) -> Reference {
    const STATUSES: [Status; 6] = [
        Status::Created,
        Status::Claimed,
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
    ];
    let mut names = |most: usize| -> BTreeSet<String> {
        let count = rng.random_range(0..=most);
        (0..count).map(|_| format!("n{}", rng.random_range(0..8))).collect()
    };
    let (keys, leases, runs, sessions, stepped) =
        (names(6), names(4), names(6), names(4), names(8));
    let at = |rng: &mut StdRng| 1.8e9 + rng.random_range(-1000..200) as f64 / 8.0;
    let value = |rng: &mut StdRng| Json::new(rng.random_range(0..3).to_string());
    let agent = |rng: &mut StdRng| match rng.random_range(0..3) {
        0 => None,
        n => Some(Text::from(format!("agent-{n}"))),
    };
    Reference {
        keys: keys
            .iter()
            .map(|name| {
                let expires_at = rng.random_bool(0.5).then(|| at(rng));
                ReferenceKey { key: (&**name).into(), value: value(rng), expires_at }
            })
            .collect(),
        leases: leases
            .iter()
            .map(|name| ReferenceLease {
                resource_id: (&**name).into(),
                holder_id: agent(rng).unwrap_or_else(|| "".into()),
                expires_at: at(rng),
            })
            .collect(),
        runs: runs
            .iter()
            .map(|name| ReferenceRun {
                status: STATUSES[rng.random_range(0..STATUSES.len())],
                agent_id: agent(rng),
                created_at: at(rng),
                updated_at: at(rng),
                ..run(name, Status::Created, None, rng.random_range(-1..5))
            })
            .collect(),
        steps: stepped
            .iter()
            .flat_map(|name| (-1..3).map(move |n| (name, n)))
            .filter(|_| rng.random_bool(0.5))
            .map(|(name, n)| step(name, n))
            .collect(),
        sessions: sessions
            .iter()
            .map(|name| ReferenceSession {
                session_id: (&**name).into(),
                context: value(rng),
                saved_at: rng.random_bool(0.7).then(|| at(rng)),
                updated_at: rng.random_bool(0.7).then(|| at(rng)),
            })
            .collect(),
        history: (0..rng.random_range(0..12))
            .map(|_| ReferenceSet {
                key: format!("n{}", rng.random_range(0..8)).into(),
                new: value(rng),
                previous: rng.random_bool(0.5).then(|| value(rng)),
                agent_id: agent(rng),
                written_at: at(rng),
            })
            .collect(),
    }
}
