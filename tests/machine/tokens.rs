//! A model of tokens that knows only what agents are told. It holds each reply
//! against what was promised before: one holder at a time, and tokens of one
//! resource that only rise.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::reply::FurtherClaim;
use mcp_state_sidecar::machine::*;

/// What was promised about every lease and run.
#[derive(Default)]
pub struct Ledger {
    promises: BTreeMap<String, Promise>,
    /// Who holds each lease, and how many may, as each of them said.
    leases: BTreeMap<String, Vec<(Promise, u32)>>,
    /// Survives releases and resets, unlike promises.
    highest: BTreeMap<String, u64>,
}

struct Promise {
    holder: Text,
    token: u64,
    expires_at: ClusterMs,
}

impl Ledger {
    /// Checks and writes down one reply. `fresh` is false where it changed
    /// nothing and so may be an answer of long ago.
    pub fn enter(&mut self, command: &Command, reply: &Reply, now: ClusterMs, fresh: bool) {
        if !fresh {
            return;
        }
        match (command, reply) {
            (Command::Acquire(asked), Reply::Acquired(got)) if got.acquired => {
                let promise = Promise {
                    holder: asked.holder_id.clone(),
                    token: got.fencing_token.expect("a lease has a token").0,
                    expires_at: got.expires_at.expect("a lease has a deadline"),
                };
                self.hold(format!("lease {}", asked.resource_id), promise, asked.permits, now);
            }
            (Command::Renew(asked), Reply::Renewed(got)) if got.renewed => {
                let promise = Promise {
                    holder: asked.holder_id.clone(),
                    token: got.fencing_token.expect("a lease has a token").0,
                    expires_at: got.expires_at.expect("a lease has a deadline"),
                };
                let holders = self.leases.get(&format!("lease {}", asked.resource_id));
                let is_known = |(held, _): &(Promise, u32)| held.token == promise.token;
                assert!(holders.is_some_and(|holders| holders.iter().any(is_known)));
                self.hold(format!("lease {}", asked.resource_id), promise, 0, now);
            }
            (Command::ReleaseLease(asked), Reply::LeaseReleased { released: true, .. }) => {
                let holders = self.leases.entry(format!("lease {}", asked.resource_id));
                holders.or_default().retain(|(held, _)| held.holder != asked.holder_id);
            }
            (Command::Claim(_) | Command::ClaimNext(_), Reply::Claimed(got)) if got.claimed => {
                let claims = FurtherClaim::of(got.clone()).expect("a claim is on a run");
                for claim in [&claims].into_iter().chain(&got.further) {
                    let promise = Promise {
                        holder: got.agent_id.clone().expect("a claim has an agent"),
                        token: claim.claim_token.0,
                        expires_at: claim.claim_expires_at,
                    };
                    self.promise(format!("run {}", claim.run_id), promise, now);
                }
            }
            (Command::Heartbeat(_), Reply::Moved(got)) if got.ok => {
                let promise = self.promises.get_mut(&format!("run {}", got.run_id));
                let promise = promise.expect("only who was granted a claim keeps it");
                promise.expires_at = got.claim_expires_at.expect("a claim has a deadline");
            }
            // A checkpoint prolongs a claim without saying until when, so what
            // was promised before is all that is known.
            (Command::Checkpoint(_), _) => {}
            // Whoever asked goes on under the same claim.
            (Command::Decide(_), _) => {}
            (_, Reply::Moved(got)) if got.ok => {
                self.promises.remove(&format!("run {}", got.run_id));
            }
            (Command::Reset, Reply::Reset { .. }) => {
                self.promises.clear();
                self.leases.clear();
            }
            _ => {}
        }
    }

    /// Notes who holds a lease, which up to `permits` may.
    fn hold(&mut self, resource: String, new: Promise, permits: u32, now: ClusterMs) {
        let highest = self.highest.entry(resource.clone()).or_default();
        let holders = self.leases.entry(resource.clone()).or_default();
        holders.retain(|(held, _)| held.expires_at > now);
        if let Some((own, _)) = holders.iter_mut().find(|(held, _)| held.holder == new.holder) {
            assert!(own.token == new.token, "{resource}: {} then {}", own.token, new.token);
            own.expires_at = new.expires_at;
            return;
        }
        let said = holders.iter().map(|(_, permits)| *permits).chain([permits]);
        let most = said.map(|permits| permits.max(1)).min().unwrap_or(1) as usize;
        let held = holders.len();
        assert!(held < most, "{resource}: {held} of {most} hold it, given to {}", new.holder);
        assert!(new.token > *highest, "{resource}: {highest} then {}", new.token);
        *highest = new.token;
        holders.push((new, permits));
    }

    fn promise(&mut self, resource: String, new: Promise, now: ClusterMs) {
        let highest = self.highest.entry(resource.clone()).or_default();
        let old = self.promises.get(&resource).filter(|old| old.expires_at > now);
        match old {
            Some(old) => {
                assert!(
                    old.holder == new.holder,
                    "{resource} was {}'s until {:?}, given to {} at {now:?}",
                    old.holder,
                    old.expires_at,
                    new.holder
                );
                assert!(old.token == new.token, "{resource}: {} then {}", old.token, new.token);
            }
            // A claim may live on by a checkpoint, under its old token.
            None if resource.starts_with("run") => {
                assert!(new.token >= *highest, "{resource}: {highest} then {}", new.token);
            }
            None => assert!(new.token > *highest, "{resource}: {highest} then {}", new.token),
        }
        *highest = new.token;
        self.promises.insert(resource, new);
    }
}

#[test]
#[should_panic(expected = "given to b")]
fn the_ledger_sees_a_lease_given_twice() {
    use crate::commands::{acquire, acquired};
    use crate::world::World;
    let mut ledger = Ledger::default();
    for holder in ["a", "b"] {
        // Two worlds that know nothing of one another.
        let mut world = World::default();
        let command = acquire("r", holder, 1_000);
        let reply = world.run(command.clone());
        assert!(acquired(reply.clone()).acquired);
        ledger.enter(&command, &reply, world.clock(), true);
    }
}
