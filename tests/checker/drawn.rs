//! Histories drawn from a correct system pass, and one answer that is changed
//! in them fails: by seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use support::checker::key::{Call, Key, Outcome};
use support::checker::{Operation, check};

const HISTORIES: u64 = 200;
const CALLS: usize = 120;
const CLIENTS: u64 = 5;

/// Calls on one key of one copy, which overlap, and of which some are not heard
/// of.
fn history(random: &mut StdRng) -> Vec<Operation<Key>> {
    let mut state: Option<(String, u64)> = None;
    let mut revision = 0_u64;
    let mut free = vec![0_u64; CLIENTS as usize];
    let mut operations = Vec::new();
    let mut now = 0_u64;
    for number in 0..CALLS {
        // Each takes effect at `now`, in this order.
        now += random.random_range(1..20);
        let client = random.random_range(0..free.len());
        let began = free[client].max(now.saturating_sub(random.random_range(0..60))).min(now);
        let ended = now + random.random_range(0..60);
        // A client has one call at a time.
        if free[client] > now {
            continue;
        }
        free[client] = ended + 1;
        let value = format!("v{number}");
        let (call, outcome) = match random.random_range(0..10) {
            0..4 => (Call::Get, Outcome::Read(state.clone())),
            4..7 => {
                revision += 1;
                state = Some((value.clone(), revision));
                (Call::Set { value, if_revision: None }, Outcome::Written { revision })
            }
            7..9 => {
                let present = state.as_ref().map_or(0, |(_, revision)| *revision);
                let wanted = present.saturating_sub(random.random_range(0..2_u64));
                let call = Call::Set { value: value.clone(), if_revision: Some(wanted) };
                match wanted == present {
                    true => {
                        revision += 1;
                        state = Some((value, revision));
                        (call, Outcome::Written { revision })
                    }
                    false => (call, Outcome::Mismatch { revision: present }),
                }
            }
            _ => {
                let existed = state.take().is_some();
                (Call::Delete, Outcome::Deleted { existed })
            }
        };
        let heard = random.random_range(0..20) > 0;
        let ended = heard.then_some((ended, outcome));
        if !heard {
            free[client] = u64::MAX;
            free.push(0);
        }
        operations.push(Operation { client: client.to_string(), call, began, ended });
    }
    operations
}

#[test]
fn what_a_correct_system_does_passes_and_a_changed_answer_fails() {
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut changed, mut seen) = (0, 0);
    for _ in 0..HISTORIES {
        let mut operations = history(&mut random);
        check("key", &operations).unwrap_or_else(|violation| panic!("{}", violation.0));
        // A read that shows what was there two writes ago: their revisions say
        // in which order they were.
        let mut written: Vec<_> = operations.iter().filter_map(written).collect();
        written.sort_by_key(|(_, revision, _)| *revision);
        let stale = operations.iter_mut().rev().find_map(|operation| {
            let began = operation.began;
            let Some((_, Outcome::Read(read))) = &mut operation.ended else { return None };
            let old = written.iter().rev().filter(|(_, _, ended)| *ended < began).nth(2)?;
            (read.as_ref().map(|(_, at)| *at) != Some(old.1)).then_some((read, old))
        });
        if let Some((read, (value, revision, _))) = stale {
            *read = Some((value.clone(), *revision));
            changed += 1;
            seen += u64::from(check("key", &operations).is_err());
        }
    }
    assert!(changed > HISTORIES / 2, "only {changed} histories could be changed");
    assert_eq!(seen, changed, "changed answers that passed");
}

fn written(operation: &Operation<Key>) -> Option<(String, u64, u64)> {
    match (&operation.call, &operation.ended) {
        (Call::Set { value, .. }, Some((ended, Outcome::Written { revision }))) => {
            Some((value.clone(), *revision, *ended))
        }
        _ => None,
    }
}
