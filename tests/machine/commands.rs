//! Commands in a word, for stories.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;

pub fn set(key: &str, value: &str) -> Command {
    Command::Set(set_of(key, value))
}

pub fn set_of(key: &str, value: &str) -> Set {
    Set {
        key: key.into(),
        value: Json::new(value),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    }
}

pub fn delete(key: &str) -> Command {
    Command::Delete(Delete { key: key.into(), agent_id: None, if_revision: None, fence: None })
}

pub fn fence(resource_id: &str, token: u64) -> Option<Fence> {
    Some(Fence { resource_id: resource_id.into(), token: Revision(token) })
}

pub fn create(name: &str) -> Command {
    Command::Create(create_of(name))
}

pub fn create_of(name: &str) -> Create {
    Create {
        name: name.into(),
        tags: BTreeMap::new(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 0,
        parent_run_id: None,
        ..Default::default()
    }
}

pub fn claim(run_id: &str, agent_id: &str, claim_ttl_ms: u64) -> Command {
    Command::Claim(Claim { run_id: run_id.into(), agent_id: agent_id.into(), claim_ttl_ms })
}

pub fn claim_next(agent_id: &str) -> ClaimNext {
    ClaimNext { agent_id: agent_id.into(), claim_ttl_ms: 1_000, ..Default::default() }
}

pub fn held(run_id: &str, agent_id: &str, token: u64) -> HeldClaim {
    HeldClaim { run_id: run_id.into(), agent_id: agent_id.into(), claim_token: Revision(token) }
}

/// `token` 0 stands for none, an empty agent for none.
pub fn claimant(agent_id: &str, token: u64) -> Claimant {
    Claimant {
        agent_id: (!agent_id.is_empty()).then(|| agent_id.into()),
        claim_token: (token > 0).then_some(Revision(token)),
    }
}

pub fn checkpoint(run_id: &str, step: u64, claimant: Claimant) -> Command {
    let output = Json::new(format!("\"output {step}\""));
    Command::Checkpoint(Checkpoint { run_id: run_id.into(), step, output, claimant, ask: None })
}

pub fn complete(run_id: &str, claimant: Claimant) -> Command {
    let result = Some(Json::new("\"well\""));
    Command::Complete(Complete { run_id: run_id.into(), result, claimant, ..Complete::default() })
}

pub fn fail(run_id: &str, retry: bool, claimant: Claimant) -> Command {
    Command::Fail(Fail {
        run_id: run_id.into(),
        error: "broken".into(),
        retry,
        claimant,
        ..Default::default()
    })
}

pub fn cancel(run_id: &str) -> Command {
    Command::Cancel(Cancel { run_id: run_id.into(), reason: Some("enough".into()), agent_id: None })
}

pub fn acquire(resource_id: &str, holder_id: &str, ttl_ms: u64) -> Command {
    Command::Acquire(Acquire {
        resource_id: resource_id.into(),
        holder_id: holder_id.into(),
        ttl_ms,
        ..Default::default()
    })
}

pub fn renew(resource_id: &str, holder_id: &str, ttl_ms: u64, token: Option<u64>) -> Command {
    Command::Renew(Renew {
        resource_id: resource_id.into(),
        holder_id: holder_id.into(),
        ttl_ms,
        fencing_token: token.map(Revision),
    })
}

pub fn release_lease(resource_id: &str, holder_id: &str, token: Option<u64>) -> Command {
    Command::ReleaseLease(ReleaseLease {
        resource_id: resource_id.into(),
        holder_id: holder_id.into(),
        fencing_token: token.map(Revision),
    })
}

pub fn save(session_id: &str, context: &str) -> SaveSession {
    SaveSession {
        session_id: session_id.into(),
        context: Json::new(context),
        agent_id: None,
        fence: None,
        ttl_ms: None,
    }
}

pub fn written(reply: Reply) -> Written {
    match reply {
        Reply::Set(written) | Reply::Deleted(written) => written,
        other => panic!("no write: {other:?}"),
    }
}

pub fn transacted(reply: Reply) -> Transacted {
    match reply {
        Reply::Transacted(transacted) => transacted,
        other => panic!("no transaction: {other:?}"),
    }
}

pub fn created(reply: Reply) -> String {
    match reply {
        Reply::Created { run_id, .. } => run_id.to_string(),
        other => panic!("no run: {other:?}"),
    }
}

pub fn claimed(reply: Reply) -> Claimed {
    match reply {
        Reply::Claimed(claimed) => claimed,
        other => panic!("no claim: {other:?}"),
    }
}

/// The token of a claim that was granted.
pub fn claim_token(reply: Reply) -> u64 {
    let claimed = claimed(reply);
    claimed.claim_token.unwrap_or_else(|| panic!("not granted: {claimed:?}")).0
}

pub fn moved(reply: Reply) -> Moved {
    match reply {
        Reply::Moved(moved) => moved,
        other => panic!("nothing moved: {other:?}"),
    }
}

pub fn checkpointed(reply: Reply) -> Checkpointed {
    match reply {
        Reply::Checkpointed(checkpointed) => checkpointed,
        other => panic!("no checkpoint: {other:?}"),
    }
}

pub fn acquired(reply: Reply) -> Acquired {
    match reply {
        Reply::Acquired(acquired) => acquired,
        other => panic!("no lease: {other:?}"),
    }
}

pub fn refusal(reply: Reply) -> (RefusalCode, String) {
    match reply {
        Reply::Refused(refusal) => (refusal.code, refusal.message.to_string()),
        other => panic!("not refused: {other:?}"),
    }
}
