//! Waiting for runs: the call ends with the run, and says how it has ended.

use mcp_state_sidecar::proto::sidecar::wait_request::Awaited;
use mcp_state_sidecar::proto::sidecar::{self as api};
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::proto::state::*;
use tonic::{Code, Status};

use crate::support::*;

async fn wait(
    client: &mut Client,
    awaited: Option<Awaited>,
    step: Option<u64>,
    wait_ms: Option<u32>,
) -> Result<api::WaitReply, Status> {
    let reply = client.0.wait(api::WaitRequest { awaited, step, wait_ms }).await?;
    Ok(reply.into_inner())
}

async fn create(client: &mut Client, parent_run_id: Option<&str>) -> String {
    let parent_run_id = parent_run_id.map(Into::into);
    let create = Create { name: "n".into(), parent_run_id, ..Default::default() };
    match client.submit(Form::Create(create)).await.unwrap() {
        reply::Reply::Created(created) => created.run_id,
        other => panic!("{other:?}"),
    }
}

fn complete(run_id: &str, result: Option<&str>) -> Form {
    let (run_id, result) = (run_id.into(), result.map(Into::into));
    Form::Complete(Complete { run_id, result, ..Default::default() })
}

#[tokio::test]
async fn a_call_waits_for_the_end_of_a_run() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let run_id = create(&mut client, None).await;
    let awaited = || Some(Awaited::RunId(run_id.clone()));
    let now = wait(&mut client, awaited(), None, Some(0)).await.unwrap();
    assert!(!now.reached);
    assert_eq!(now.run.unwrap().status(), RunStatus::Created);
    let (mut other, awaiting) = (client.clone(), awaited());
    let waiting = tokio::spawn(async move { wait(&mut other, awaiting, None, None).await });
    client.submit(complete(&run_id, Some("[1]"))).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    let run = ended.run.unwrap();
    assert_eq!((ended.reached, run.status()), (true, RunStatus::Done));
    assert_eq!(run.result.as_deref(), Some("[1]"));
}

#[tokio::test]
async fn a_call_waits_for_all_children() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let parent = create(&mut client, None).await;
    let children =
        [create(&mut client, Some(&parent)).await, create(&mut client, Some(&parent)).await];
    let awaited = || Some(Awaited::ParentRunId(parent.clone()));
    client.submit(complete(&children[0], None)).await.unwrap();
    let now = wait(&mut client, awaited(), None, Some(0)).await.unwrap();
    let counted = |reply: &api::WaitReply| {
        let mut counts: Vec<_> = reply.children.clone().into_iter().collect();
        counts.sort();
        counts
    };
    assert!(!now.reached);
    assert_eq!(counted(&now), [("created".into(), 1), ("done".into(), 1)]);
    client.submit(complete(&children[1], None)).await.unwrap();
    let ended = wait(&mut client, awaited(), None, None).await.unwrap();
    assert!(ended.reached);
    assert_eq!(counted(&ended), [("done".into(), 2)]);
}

#[tokio::test]
async fn a_wait_names_what_it_waits_for() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let children = || Some(Awaited::ParentRunId("p".into()));
    for (awaited, step, code) in [
        (None, None, Code::InvalidArgument),
        (children(), Some(1), Code::InvalidArgument),
        (children(), None, Code::NotFound),
        (Some(Awaited::RunId("r".into())), Some(1), Code::NotFound),
    ] {
        let error = wait(&mut client, awaited, step, Some(0)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    }
}
