//! Keys: reads, writes, and writes that go by what was read.

use mcp_state_sidecar::machine::command::{Delete, Set};
use mcp_state_sidecar::machine::{Answer, Command, Json, Question, Reply, Revision};
use mcp_state_sidecar::proto::sidecar::Consistency;
use rand::RngExt;

use super::Worker;
use crate::record::{Ended, now};
use support::checker::events::Fact;
use support::checker::{Operation, key};

/// Shared at a time.
const KEYS: u64 = 3;

impl Worker {
    pub(super) async fn use_key(&mut self) {
        let record = self.record.clone();
        let name =
            self.pick("key", KEYS, |name| record.borrow().keys.get(name).map_or(0, Vec::len));
        match self.rng.random_range(0..10) {
            0..4 => _ = self.get(&name).await,
            4..7 => {
                let named = self.rng.random_bool(0.5);
                self.set(&name, None, named).await;
            }
            7..9 => {
                let Some(read) = self.get(&name).await else { return };
                let revision = read.map_or(0, |(_, revision)| revision);
                self.set(&name, Some(revision), false).await;
            }
            _ => self.delete(&name).await,
        }
    }

    async fn get(&mut self, name: &str) -> Option<Option<(String, u64)>> {
        let (began, at) = (now(), self.node());
        let question = Question::Key { key: name.into() };
        let local = self.rng.random_bool(0.1);
        let consistency = if local { Consistency::Local } else { Consistency::Linearizable };
        let answer = self.client.ask(at, &question, consistency).await;
        let read = match answer {
            Ok(Answer::Key(row)) => {
                Ok(row.map(|row| (row.value.as_str().to_owned(), row.revision.0)))
            }
            Ok(other) => panic!("{other:?}"),
            Err(ended) => Err(ended),
        };
        let told = read.as_ref().err().copied().unwrap_or(Ended::Answered);
        let mut record = self.record.borrow_mut();
        record.call(&self.name, format!("get {name} at n{at} {consistency:?} {read:?}"), &told);
        let read = read.ok()?;
        // A local read promises no freshness.
        if !local {
            let ended = Some((now(), key::Outcome::Read(read.clone())));
            let client = self.name.clone();
            let operation = Operation { client, call: key::Call::Get, began, ended };
            record.keys.entry(name.to_owned()).or_default().push(operation);
        }
        Some(read)
    }

    pub(super) async fn set(&mut self, name: &str, if_revision: Option<u64>, named: bool) -> Ended {
        let value = self.unique();
        let command = Command::Set(Set {
            key: name.into(),
            value: Json::new(value.as_str()),
            ttl_ms: None,
            agent_id: Some(self.name.as_str().into()),
            if_revision: if_revision.map(Revision),
            fence: None,
        });
        let (began, reply) = self.submit(&command, named.then(|| value.clone())).await;
        let call = key::Call::Set { value: value.clone(), if_revision };
        let mut record = self.record.borrow_mut();
        let ended = match &reply {
            Ok(Reply::Set(written)) if written.ok => {
                let revision = written.revision.0;
                let subject = name.to_owned();
                record.facts.push(Fact::Written { subject, value, revision });
                Some((now(), key::Outcome::Written { revision }))
            }
            Ok(Reply::Set(refused)) => {
                record.facts.push(Fact::Absent { value });
                Some((now(), key::Outcome::Mismatch { revision: refused.revision.0 }))
            }
            Ok(other) => panic!("{other:?}"),
            Err(Ended::Unavailable) => {
                record.facts.push(Fact::Absent { value });
                return Ended::Unavailable;
            }
            Err(_) => None,
        };
        let client = self.name.clone();
        let operation = Operation { client, call, began, ended };
        record.keys.entry(name.to_owned()).or_default().push(operation);
        reply.err().unwrap_or(Ended::Answered)
    }

    async fn delete(&mut self, name: &str) {
        let command = Command::Delete(Delete {
            key: name.into(),
            agent_id: Some(self.name.as_str().into()),
            if_revision: None,
            fence: None,
        });
        let (began, reply) = self.submit(&command, None).await;
        let ended = match reply {
            Ok(Reply::Deleted(written)) => {
                Some((now(), key::Outcome::Deleted { existed: written.ok }))
            }
            Ok(other) => panic!("{other:?}"),
            Err(Ended::Unavailable) => return,
            Err(_) => None,
        };
        let client = self.name.clone();
        let operation = Operation { client, call: key::Call::Delete, began, ended };
        self.record.borrow_mut().keys.entry(name.to_owned()).or_default().push(operation);
    }
}
