//! Leases: taken, renewed and given back.

use mcp_state_sidecar::machine::command::{Acquire, ReleaseLease, Renew};
use mcp_state_sidecar::machine::{Command, Reply, Revision};
use rand::RngExt;

use super::{Worker, done};
use crate::record::Ended;
use support::checker::hold;

/// Shared at a time.
const RESOURCES: u64 = 2;

impl Worker {
    pub(super) async fn hold_lease(&mut self) {
        if !self.leases.is_empty() && self.rng.random_bool(0.6) {
            let at = self.rng.random_range(0..self.leases.len());
            let (name, token) = self.leases[at].clone();
            if self.rng.random_bool(0.5) {
                self.leases.remove(at);
                self.release_lease(&name, token).await;
            } else {
                self.renew(&name, token).await;
            }
            return;
        }
        let record = self.record.clone();
        let name = self
            .pick("lease", RESOURCES, |name| record.borrow().leases.get(name).map_or(0, Vec::len));
        let ttl_ms = self.rng.random_range(500..3_000);
        let command = Command::Acquire(Acquire {
            resource_id: name.as_str().into(),
            holder_id: self.name.as_str().into(),
            ttl_ms,
            ..Default::default()
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Acquired(acquired)) => Ok(match acquired.fencing_token {
                Some(Revision(token)) if acquired.acquired => {
                    self.leases.retain(|(other, _)| *other != name);
                    self.leases.push((name.clone(), token));
                    self.granted("lease_acquire", &format!("lease:{name}"), token);
                    hold::Outcome::Taken { token }
                }
                _ => hold::Outcome::Refused,
            }),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let (by, ttl_us) = (self.name.clone(), self.plan.least_us(ttl_ms));
        let call = hold::Call::Take { by, ttl_us, of: hold::Kind::Lease };
        self.lease_call(&name, call, began, outcome);
    }

    async fn renew(&mut self, name: &str, token: u64) {
        let ttl_ms = self.rng.random_range(500..3_000);
        let command = Command::Renew(Renew {
            resource_id: name.into(),
            holder_id: self.name.as_str().into(),
            ttl_ms,
            fencing_token: Some(Revision(token)),
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::Renewed(renewed)) => Ok(done(renewed.renewed)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let ttl_us = self.plan.least_us(ttl_ms);
        let call = hold::Call::Keep { by: self.name.clone(), token, ttl_us };
        self.lease_call(name, call, began, outcome);
    }

    async fn release_lease(&mut self, name: &str, token: u64) {
        let command = Command::ReleaseLease(ReleaseLease {
            resource_id: name.into(),
            holder_id: self.name.as_str().into(),
            fencing_token: Some(Revision(token)),
        });
        let (began, reply) = self.submit(&command, None).await;
        let outcome = match reply {
            Ok(Reply::LeaseReleased { released, .. }) => Ok(done(released)),
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let call = hold::Call::Give { by: self.name.clone(), token };
        self.lease_call(name, call, began, outcome);
    }

    fn lease_call(
        &self,
        name: &str,
        call: hold::Call,
        began: u64,
        outcome: Result<hold::Outcome, Ended>,
    ) {
        let operation = self.hold_operation(call, began, outcome);
        let mut record = self.record.borrow_mut();
        record.leases.entry(name.to_owned()).or_default().extend(operation);
    }
}
