//! Values that no sound caller sends: empty and strange text, numbers at the
//! ends of their range, a clock at its end. Nothing may panic.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::commands::*;
use crate::fleet::{claimant_of, run_id};
use crate::naive;
use crate::rng::{RandomSource, for_each_seed};
use crate::world::World;

const ODD_TEXT: [&str; 6] = ["", "\0", "\u{10ffff}", "wf-none", "a\"b\\c", " "];
const ODD_NUMBERS: [u64; 7] = [0, 1, 2, 1 << 31, 1 << 53, u64::MAX - 1, u64::MAX];

fn odd(rng: &mut RandomSource, world: &World) -> Command {
    let number = |rng: &mut RandomSource| *rng.one_of(&ODD_NUMBERS);
    let run_id = if rng.percent(70) { run_id(rng, world) } else { rng.text(&ODD_TEXT) };
    let (text, ttl_ms) = (rng.text(&ODD_TEXT), number(rng));
    let fence = rng
        .maybe(30, |rng| Fence { resource_id: rng.text(&ODD_TEXT), token: Revision(number(rng)) });
    let claimant = claimant_of(rng, world, &run_id);
    let (agent_id, key) = (rng.text(&ODD_TEXT), text.clone());
    match rng.below(11) {
        0 => Command::Set(Set { ttl_ms: Some(ttl_ms), fence, ..set_of(&text, "1") }),
        1 => {
            let if_revision = Some(Revision(number(rng)));
            Command::Delete(Delete { key, agent_id: Some(agent_id), if_revision, fence })
        }
        2 => Command::Create(Create {
            priority: *rng.one_of(&[i64::MIN, -1, 0, i64::MAX]),
            delay_ms: rng.maybe(50, number),
            max_attempts: *rng.one_of(&[0, 1, u32::MAX]),
            parent_run_id: rng.maybe(30, |_| run_id),
            ..create_of(&text)
        }),
        3 => Command::Claim(Claim { run_id, agent_id, claim_ttl_ms: ttl_ms }),
        4 => Command::ClaimNext(ClaimNext { claim_ttl_ms: ttl_ms, ..claim_next(&text) }),
        5 => checkpoint(&run_id, number(rng), claimant),
        6 => fail(&run_id, rng.percent(90), claimant),
        7 => acquire(&text, &agent_id, ttl_ms),
        8 => renew(&text, &agent_id, ttl_ms, rng.maybe(50, number)),
        9 => Command::Sweep { limit: number(rng) as u32 },
        _ => Command::Heartbeat(held(&run_id, &agent_id, number(rng))),
    }
}

#[test]
fn odd_values_are_decided_without_a_panic() {
    for_each_seed(|rng| {
        let mut world = World::default();
        for position in 0..600 {
            let mut envelope = {
                let command = odd(rng, &world);
                world.envelope(command)
            };
            envelope.random = *rng.one_of(&[chance_of(position), 0, u64::MAX]);
            let number = *rng.one_of(&ODD_NUMBERS);
            // The clock is at its end from two thirds on.
            envelope.clock = ClusterMs(if position < 400 { world.now_ms } else { number });
            envelope.wall = WallMs(envelope.clock.0);
            envelope.origin = rng.maybe(30, |rng| Origin {
                session: *rng.one_of(&ODD_NUMBERS),
                sequence: *rng.one_of(&ODD_NUMBERS),
                lowest: *rng.one_of(&ODD_NUMBERS),
            });
            world.advance_ms(7);
            let reply = world.step(&envelope);
            let internal = matches!(&reply, Reply::Refused(refusal)
                if refusal.code == RefusalCode::Internal && refusal.message.starts_with("a rule"));
            assert!(!internal, "a rule panicked on {envelope:?}");
            naive::compare(&world, rng);
        }
    });
}

fn chance_of(position: u64) -> u64 {
    position << 20
}

#[test]
fn attempts_stop_counting_before_they_overflow() {
    let mut world = World::default();
    let max_attempts = u32::MAX;
    created(world.run(Command::Create(Create { max_attempts, ..create_of("w") })));
    let mut rows = world.rows().clone();
    let run = rows.runs.values_mut().next().expect("it was created");
    run.attempts = u32::MAX;
    let run_id = run.run_id.clone();
    let mut tables = Tables::restore(rows.meta.clone(), [Row::Run(Box::new(run.clone()))]);
    for command in [claim(&run_id, "a", 1_000), fail(&run_id, true, claimant("a", 0))] {
        let Ok(decision) = decide(&world.envelope(command), &tables);
        assert!(!matches!(decision.reply, Reply::Refused(_)), "{:?}", decision.reply);
        tables.apply(&decision);
    }
    assert_eq!(
        lookup::stored_run(&tables, &run_id).unwrap().expect("it is there").attempts,
        u32::MAX
    );
}
