//! A few calls that touch as many rows, steps, children and bytes as one call may. The
//! stores put these into commands of their own that have limits too.

use std::collections::BTreeMap;

use mcp_state_sidecar::limits::{TRANSACTION_MAX, VALUE_BYTES_MAX_DEFAULT};
use mcp_state_sidecar::machine::command::{
    Cancel, Checkpoint, Claimant, Create, Operation, SaveSession, Set, Transact,
};
use mcp_state_sidecar::machine::filter::{HistoryFilter, RunFilter};
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::{Command, Json, Question, Reply, Text};
use mcp_state_sidecar::store::{Consistency, Request};

use crate::Fault;
use crate::play::Players;
use crate::stage::Opener;

/// Transactions of as many keys as one takes.
const TRANSACTIONS: usize = 16;

/// Runs below one, and steps of one. More would only take longer.
const CHILDREN: u64 = 400;
const STEPS: u64 = 150;

/// When the keys end that do.
const TTL_MS: u64 = 5_000;

pub async fn play(openers: &[Opener]) -> Result<(), Fault> {
    let mut players = Players::open(openers, Default::default()).await;
    let outcome = calls(&mut players).await;
    players.end(outcome).await
}

async fn calls(players: &mut Players) -> Result<(), Fault> {
    for number in 0..TRANSACTIONS {
        submit(players, transact(number)).await?;
    }
    let value = Json::new(format!("\"{}\"", "v".repeat(VALUE_BYTES_MAX_DEFAULT - 2)));
    for _ in 0..2 {
        submit(players, set("large", &value)).await?;
    }
    let session_id: Text = "s".repeat(1_024).into();
    let context = Json::new(format!("{}1{}", "{\"a\":".repeat(127), "}".repeat(127)));
    let save = SaveSession { session_id, context, agent_id: None, fence: None, ttl_ms: None };
    submit(players, Command::SaveSession(save)).await?;
    let parent = family(players).await?;
    everything(players).await?;
    let cancel = Cancel { run_id: parent, reason: None, agent_id: None };
    submit(players, Command::Cancel(cancel)).await?;
    players.clock.advance_ms(TTL_MS);
    everything(players).await?;
    submit(players, Command::Sweep { limit: 1_000 }).await?;
    submit(players, Command::Sweep { limit: u32::MAX }).await?;
    players.compare_all().await?;
    submit(players, Command::Reset).await?;
    players.compare_all().await
}

async fn submit(players: &mut Players, command: Command) -> Result<Reply, Fault> {
    // RandomSource is counted, so that runs have ids of their own.
    let random = players.model.state().tables.meta().revision.0 << 4;
    players
        .submit(Request { command, idempotency: None, actor: None, random, attempt: false }, random)
        .await
}

/// Every other key has an end.
fn transact(number: usize) -> Command {
    let operation = |at: usize| Operation::Set {
        key: format!("{}/{number}/{at}", "k".repeat(1_000)).into(),
        value: Json::new("0"),
        ttl_ms: at.is_multiple_of(2).then_some(TTL_MS),
    };
    Command::Transact(Transact {
        compare: Vec::new(),
        then: (0..TRANSACTION_MAX).map(operation).collect(),
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    })
}

fn set(key: &str, value: &Json) -> Command {
    Command::Set(Set {
        key: key.into(),
        value: value.clone(),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

/// A run with many children, each with a child of its own now and then, and
/// with many steps; gives its id.
async fn family(players: &mut Players) -> Result<Text, Fault> {
    let parent = create(players, None).await?;
    let mut last = parent.clone();
    for number in 0..CHILDREN {
        let of = if number % 10 == 0 { &last } else { &parent };
        last = create(players, Some(of.clone())).await?;
    }
    for step in 0..STEPS {
        let (run_id, claimant) = (parent.clone(), Claimant::default());
        let output = Json::new(step.to_string());
        submit(
            players,
            Command::Checkpoint(Checkpoint { run_id, step, output, claimant, ask: None }),
        )
        .await?;
    }
    players
        .ask(
            Question::Resume { run_id: parent.clone(), from_step: 0, page: Page::of_rows(1_000) },
            Consistency::Linearizable,
            1,
        )
        .await?;
    Ok(parent)
}

async fn create(players: &mut Players, parent_run_id: Option<Text>) -> Result<Text, Fault> {
    let tags = BTreeMap::from([("team".into(), "large".into())]);
    let create = Create {
        name: "n".into(),
        tags,
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 1,
        parent_run_id,
        ..Default::default()
    };
    match submit(players, Command::Create(create)).await? {
        Reply::Created { run_id, .. } => Ok(run_id),
        other => panic!("not created: {other:?}"),
    }
}

/// The largest pages there are.
async fn everything(players: &mut Players) -> Result<(), Fault> {
    let (scan, limit) = (Scan::default(), 10_000);
    let tags = BTreeMap::from([("team".into(), "large".into())]);
    for question in [
        Question::Keys { scan: scan.clone(), page: Page::of_rows(limit) },
        Question::Runs {
            filter: RunFilter { tags, ..RunFilter::default() },
            before: None,
            page: Page::of_rows(limit),
        },
        Question::Sessions { scan, page: Page::of_rows(limit) },
        Question::Counts,
        Question::History {
            filter: HistoryFilter::default(),
            before: None,
            page: Page::of_rows(limit),
        },
    ] {
        players.ask(question.clone(), Consistency::Linearizable, 0).await?;
        players.ask(question, Consistency::Local, 1).await?;
    }
    Ok(())
}
