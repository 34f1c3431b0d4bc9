//! Lists beside many rows: what one page takes, and how large one response is.
//! All are asked for over MCP, as agents do.

use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;
use mcp_state_sidecar::proto::state::reply::Reply;

use super::Filled;
use super::claims::claim_next;
use super::fill::{fill, key, run, run_id};
use super::report::Figure;
use crate::Result;
use crate::figures::percentile;
use crate::grpc::GrpcClient;
use crate::http::McpClient;
use crate::servers::Servers;

/// As JSON, below the limit of a value.
const STEP_BYTES: usize = 1_000_000;

/// Long enough that claims and leases last.
const TTL_MS: u64 = 3600 * 1000;

/// Rows of a page.
const PAGE: usize = 100;

const AGENT: &str = "agent";

/// One run that is claimed and has steps.
pub async fn fill_steps(servers: &Servers, size: usize) -> Result<Filled> {
    let mut client = GrpcClient::connect(servers.grpc(0)).await?;
    let run_id = run_id(&client.submit(Command::Create(run("work"))).await?)?;
    client.submit(claim_next(AGENT, None, Vec::new())).await?;
    for step in 1..=size as u64 {
        let checkpoint = state::Checkpoint {
            run_id: run_id.clone(),
            step,
            output: format!("\"{}\"", "s".repeat(STEP_BYTES)),
            agent_id: Some(AGENT.to_owned()),
            ..state::Checkpoint::default()
        };
        match client.submit(Command::Checkpoint(checkpoint)).await? {
            Reply::Checkpointed(reply) if reply.ok => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(Filled { run_id, ..Filled::default() })
}

/// Runs that are claimed.
pub async fn fill_claimed(servers: &Servers, size: usize) -> Result<Filled> {
    let created = fill(servers, size, |_| Command::Create(run("work"))).await?;
    let run_ids: Vec<String> = created.iter().map(run_id).collect::<Result<_>>()?;
    let claim = move |number: usize| {
        Command::Claim(state::Claim {
            run_id: run_ids[number].clone(),
            agent_id: AGENT.to_owned(),
            claim_ttl_ms: TTL_MS,
        })
    };
    fill(servers, size, claim).await?;
    Ok(Filled::default())
}

/// So many keys, leases and runs.
pub async fn fill_lists(servers: &Servers, size: usize) -> Result<Filled> {
    fill(servers, size, |number| Command::Set(key(format!("key/{number:07}")))).await?;
    let acquire = |number| {
        Command::Acquire(state::Acquire {
            resource_id: format!("resource/{number:07}"),
            holder_id: AGENT.to_owned(),
            ttl_ms: TTL_MS,
            ..Default::default()
        })
    };
    fill(servers, size, acquire).await?;
    fill(servers, size, |_| Command::Create(run("work"))).await?;
    Ok(Filled::default())
}

/// The largest of the responses by which a run is resumed, and how many there
/// are.
pub async fn resume(servers: &Servers, run_id: &str) -> Result<Vec<Figure>> {
    let mut client = McpClient::connect(servers.mcp(0)).await?;
    let (mut largest, mut responses, mut from) = (0, 0, None);
    loop {
        let from_step = from.map(|step: u64| format!(r#","from_step":{step}"#)).unwrap_or_default();
        let arguments = format!(r#"{{"run_id":"{run_id}"{from_step}}}"#);
        let response = client.call("workflow_resume", &arguments).await?;
        largest = largest.max(response.len());
        responses += 1;
        let response: serde_json::Value = serde_json::from_slice(&response)?;
        from = response["result"]["structuredContent"]["next_from_step"].as_u64();
        if from.is_none() {
            break;
        }
    }
    Ok(vec![
        Figure::bytes("largest response", largest),
        Figure::total("responses for all steps", f64::from(responses)),
    ])
}

pub async fn discover(servers: &Servers, time: Duration) -> Result<Vec<Figure>> {
    let mut client = McpClient::connect(servers.mcp(0)).await?;
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time {
        let call = Instant::now();
        client.call("workflow_discover", r#"{"claimable":true}"#).await?;
        took.push(call.elapsed());
    }
    took.sort_unstable();
    Ok(vec![
        Figure::ms("call p50", percentile(&took, 50)),
        Figure::ms("call p99", percentile(&took, 99)),
    ])
}

/// Each list, a third of the time.
pub async fn list(servers: &Servers, time: Duration) -> Result<Vec<Figure>> {
    let mut client = McpClient::connect(servers.mcp(0)).await?;
    let lists = [("state_list", "state_list p50"), ("lease_list", "lease_list p50")];
    let mut figures = Vec::new();
    for (tool, what) in lists.into_iter().chain([("workflow_list", "workflow_list p50")]) {
        figures.push(Figure::ms(what, page_after_page(&mut client, tool, time / 3).await?));
    }
    Ok(figures)
}

/// What a page takes in the middle, from the first to the last and again, while
/// there is time.
async fn page_after_page(client: &mut McpClient, tool: &str, time: Duration) -> Result<Duration> {
    let (mut took, mut cursor) = (Vec::new(), String::new());
    let began = Instant::now();
    while began.elapsed() < time {
        let call = Instant::now();
        let page = client.answer(tool, &format!(r#"{{"limit":{PAGE}{cursor}}}"#)).await?;
        took.push(call.elapsed());
        cursor = match page["next_cursor"].as_str() {
            Some(next) => format!(r#","cursor":{}"#, serde_json::to_string(next)?),
            None => String::new(),
        };
    }
    took.sort_unstable();
    Ok(percentile(&took, 50))
}
