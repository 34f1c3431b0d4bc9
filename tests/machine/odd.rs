//! Values that no sound caller sends: empty and strange text, numbers at the
//! ends of their range, a clock at its end. Nothing may panic.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::chance::{Chance, for_each_seed};
use crate::commands::*;
use crate::fleet::{claimant_of, run_id};
use crate::naive;
use crate::world::World;

const ODD_TEXT: [&str; 6] = ["", "\0", "\u{10ffff}", "wf-none", "a\"b\\c", " "];
const ODD_NUMBERS: [u64; 7] = [0, 1, 2, 1 << 31, 1 << 53, u64::MAX - 1, u64::MAX];

fn odd(chance: &mut Chance, world: &World) -> Command {
    let number = |chance: &mut Chance| *chance.one_of(&ODD_NUMBERS);
    let run_id = if chance.percent(70) { run_id(chance, world) } else { chance.text(&ODD_TEXT) };
    let (text, ttl_ms) = (chance.text(&ODD_TEXT), number(chance));
    let fence = chance.maybe(30, |chance| Fence {
        resource_id: chance.text(&ODD_TEXT),
        token: Revision(number(chance)),
    });
    let claimant = claimant_of(chance, world, &run_id);
    let (agent_id, key) = (chance.text(&ODD_TEXT), text.clone());
    match chance.below(11) {
        0 => Command::Set(Set { ttl_ms: Some(ttl_ms), fence, ..set_of(&text, "1") }),
        1 => {
            let if_revision = Some(Revision(number(chance)));
            Command::Delete(Delete { key, agent_id: Some(agent_id), if_revision, fence })
        }
        2 => Command::Create(Create {
            priority: *chance.one_of(&[i64::MIN, -1, 0, i64::MAX]),
            delay_ms: chance.maybe(50, number),
            max_attempts: *chance.one_of(&[0, 1, u32::MAX]),
            parent_run_id: chance.maybe(30, |_| run_id),
            ..create_of(&text)
        }),
        3 => Command::Claim(Claim { run_id, agent_id, claim_ttl_ms: ttl_ms }),
        4 => Command::ClaimNext(ClaimNext { claim_ttl_ms: ttl_ms, ..claim_next(&text) }),
        5 => checkpoint(&run_id, number(chance), claimant),
        6 => fail(&run_id, chance.percent(90), claimant),
        7 => acquire(&text, &agent_id, ttl_ms),
        8 => renew(&text, &agent_id, ttl_ms, chance.maybe(50, number)),
        9 => Command::Sweep { limit: number(chance) as u32 },
        _ => Command::Heartbeat(held(&run_id, &agent_id, number(chance))),
    }
}

#[test]
fn odd_values_are_decided_without_a_panic() {
    for_each_seed(|chance| {
        let mut world = World::default();
        for position in 0..600 {
            let mut envelope = {
                let command = odd(chance, &world);
                world.envelope(command)
            };
            envelope.chance = *chance.one_of(&[chance_of(position), 0, u64::MAX]);
            let number = *chance.one_of(&ODD_NUMBERS);
            // The clock is at its end from two thirds on.
            envelope.clock = ClusterMs(if position < 400 { world.now_ms } else { number });
            envelope.wall = WallMs(envelope.clock.0);
            envelope.origin = chance.maybe(30, |chance| Origin {
                session: *chance.one_of(&ODD_NUMBERS),
                sequence: *chance.one_of(&ODD_NUMBERS),
                lowest: *chance.one_of(&ODD_NUMBERS),
            });
            world.advance_ms(7);
            let reply = world.step(&envelope);
            let internal = matches!(&reply, Reply::Refused(refusal)
                if refusal.code == RefusalCode::Internal && refusal.message.starts_with("a rule"));
            assert!(!internal, "a rule panicked on {envelope:?}");
            naive::compare(&world, chance);
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
