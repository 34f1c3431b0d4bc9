//! `cluster status`: asks every node for its own status, over gRPC.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cli::failure::CommandFailure;
use crate::cli::grpc_client::{self, BearerToken, NODE_TIMEOUT};
use crate::cli::node_options::Credentials;
use crate::cli::output::pretty_json;
use crate::cli::tls::TlsOptions;
use crate::config::NodeAddress;
use crate::machine::hex;
use crate::proto::sidecar::{Cluster, Role, StatusReply, StatusRequest};

const WAIT_POLL: Duration = Duration::from_millis(100);

/// Show the role, term, indexes and lag of every node
///
/// The exit code is 0 if there is a leader and every node answers, and 1 otherwise.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The gRPC address of any node (SIDECAR_RAFT_ADDR), as HOST:PORT or as a URL
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    node: NodeAddress,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Print only the number of the leader; the exit code is 0 if one is known
    #[arg(long, conflicts_with = "json")]
    leader: bool,
    /// Wait up to this long until there is a leader and every node answers
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    credentials: Credentials,
}

/// The status of one member.
#[derive(Clone, Debug)]
struct MemberStatus {
    id: u64,
    /// Where peers and programs reach it.
    addr: String,
    /// What it reports itself, or why it does not answer.
    status: Result<StatusReply, String>,
    /// Whether it is a voter or a learner.
    voter: bool,
    /// How many entries it is behind the log of the leader, as the leader sees it.
    lag: Option<u64>,
}

/// Runs the command.
pub async fn run(args: StatusArgs) -> Result<ExitCode, CommandFailure> {
    let token = args.credentials.token().map_err(CommandFailure::usage)?;
    let token = BearerToken::new(token).map_err(CommandFailure::usage)?;
    let give_up = Instant::now() + Duration::from_secs(args.wait.unwrap_or(0));
    let rows = loop {
        let rows = members(&args.node, &token, &args.credentials.tls).await;
        let is_whole = rows.as_ref().is_ok_and(|rows| agrees_on_leader(rows));
        if is_whole || Instant::now() >= give_up {
            break rows?;
        }
        tokio::time::sleep(WAIT_POLL).await;
    };
    if args.leader {
        let leader = rows.iter().find_map(leader_by);
        let leader = leader.ok_or_else(|| CommandFailure::run("no leader is known"))?;
        println!("{leader}");
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        let rows: Vec<Value> = rows.iter().map(MemberStatus::to_json).collect();
        println!("{}", pretty_json(&Value::Array(rows)));
    } else {
        println!("{}", table(&rows));
    }
    Ok(if agrees_on_leader(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the node who the members are, then each of them.
async fn members(
    node: &NodeAddress,
    token: &BearerToken,
    tls: &TlsOptions,
) -> Result<Vec<MemberStatus>, CommandFailure> {
    let asked = ask(node, token, tls).await.map_err(CommandFailure::run)?;
    let Some(cluster) = asked.cluster.clone() else {
        let line = format!("{node} is not the node of a cluster: its store is {}", asked.backend);
        return Err(CommandFailure::run(line));
    };
    if cluster.members.is_empty() {
        let line =
            format!("node {} is not in a cluster yet: add it with `cluster add`", cluster.node_id);
        return Err(CommandFailure::run(line));
    }
    let rows = cluster.members.iter().map(|member| async {
        let is_asked = member.id == cluster.node_id;
        let status = match member.addr.parse() {
            _ if is_asked => Ok(asked.clone()),
            Ok(addr) => ask(&addr, token, tls).await,
            Err(error) => Err(format!("{}: {error}", member.addr)),
        };
        MemberStatus {
            id: member.id,
            addr: member.addr.clone(),
            status,
            voter: member.voter,
            lag: None,
        }
    });
    let mut rows = join_all(rows).await;
    fill_in_lags(&mut rows);
    Ok(rows)
}

async fn ask(
    node: &NodeAddress,
    token: &BearerToken,
    tls: &TlsOptions,
) -> Result<StatusReply, String> {
    let asking = async {
        let mut client = grpc_client::connect(node, tls).await?;
        match client.status(token.request(StatusRequest {})).await {
            Ok(reply) => Ok(reply.into_inner()),
            Err(status) => Err(grpc_client::call_failure(node, tls, &status).await),
        }
    };
    match tokio::time::timeout(NODE_TIMEOUT, asking).await {
        Ok(reply) => reply,
        Err(_) => Err(format!("no answer from {node} within {} s", NODE_TIMEOUT.as_secs())),
    }
}

/// Only the leader knows how far the others are.
fn fill_in_lags(rows: &mut [MemberStatus]) {
    let leads = |cluster: &&Cluster| cluster.role() == Role::Leader;
    let Some(leader) = rows.iter().filter_map(MemberStatus::cluster).find(leads).cloned() else {
        return;
    };
    for member in leader.members {
        for row in rows.iter_mut().filter(|row| row.id == member.id) {
            row.lag = member.lag;
        }
    }
}

/// Whether all members answer and agree on one leader.
fn agrees_on_leader(rows: &[MemberStatus]) -> bool {
    let first = rows.first().and_then(leader_by);
    first.is_some() && rows.iter().all(|row| leader_by(row) == first)
}

/// The leader that this member reports.
fn leader_by(row: &MemberStatus) -> Option<u64> {
    row.cluster()?.leader
}

impl MemberStatus {
    fn cluster(&self) -> Option<&Cluster> {
        self.status.as_ref().ok()?.cluster.as_ref()
    }

    /// Where clients reach MCP on this member, which only itself knows.
    fn url(&self) -> &str {
        let members = self.cluster().map(|cluster| cluster.members.as_slice());
        let own = members.unwrap_or_default().iter().find(|member| member.id == self.id);
        own.map_or("", |member| member.url.as_str())
    }

    fn to_json(&self) -> Value {
        let (id, addr, lag) = (self.id, &self.addr, self.lag);
        let (status, cluster) = match (&self.status, self.cluster()) {
            (Ok(status), Some(cluster)) => (status, cluster),
            (Ok(_), None) => {
                return json!({"id": id, "addr": addr, "error": "not the node of a cluster"});
            }
            (Err(error), _) => {
                return json!({"id": id, "addr": addr, "voter": self.voter, "error": error});
            }
        };
        json!({"id": id, "addr": addr, "url": self.url(), "role": role(cluster),
            "voter": self.voter,
            "leader": cluster.leader, "term": cluster.term,
            "last_log_index": cluster.last_log_index, "committed_index": cluster.committed_index,
            "applied_index": cluster.applied_index, "snapshot_index": cluster.snapshot_index,
            "quorum": cluster.quorum, "caught_up": cluster.caught_up, "lag": lag,
            "revision": status.revision, "chain": hex::encode(&status.chain), "fault": status.fault})
    }
}

fn role(cluster: &Cluster) -> &'static str {
    match cluster.role() {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Unspecified => "?",
    }
}

fn table(rows: &[MemberStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let header = ["NODE", "ROLE", "TERM", "LEADER", "APPLIED", "COMMITTED", "LAG", "GRPC", "MCP"];
    table.set_header(header);
    let known = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    for row in rows {
        let cluster = row.cluster();
        table.add_row([
            row.id.to_string(),
            cluster.map_or("no answer", role).to_owned(),
            known(cluster.map(|cluster| cluster.term)),
            known(leader_by(row)),
            known(cluster.map(|cluster| cluster.applied_index)),
            known(cluster.map(|cluster| cluster.committed_index)),
            known(row.lag),
            row.addr.clone(),
            row.url().to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sidecar::Member;

    fn row(id: u64, role: Role, leader: Option<u64>, lags: &[(u64, u64)]) -> MemberStatus {
        let member = |&(id, lag): &(u64, u64)| Member { id, lag: Some(lag), ..Default::default() };
        let members = lags.iter().map(member).collect();
        let cluster = Cluster { role: role.into(), leader, members, ..Default::default() };
        let status = StatusReply { cluster: Some(cluster), ..Default::default() };
        MemberStatus { id, addr: format!("n{id}:9000"), status: Ok(status), voter: true, lag: None }
    }

    #[test]
    fn the_leader_knows_the_lags() {
        let mut rows = [
            row(1, Role::Follower, Some(2), &[(1, 99)]),
            row(2, Role::Leader, Some(2), &[(1, 7), (2, 0)]),
        ];
        fill_in_lags(&mut rows);
        assert_eq!((rows[0].lag, rows[1].lag), (Some(7), Some(0)));
        assert!(table(&rows).to_string().contains("follower"));
    }

    #[test]
    fn a_cluster_is_healthy_if_all_members_name_one_leader() {
        let named = |id, leader| row(id, Role::Follower, leader, &[]);
        assert!(agrees_on_leader(&[named(1, Some(2)), named(2, Some(2))]));
        assert!(!agrees_on_leader(&[named(1, Some(2)), named(2, Some(1))]));
        assert!(!agrees_on_leader(&[named(1, None), named(2, None)]));
        assert!(!agrees_on_leader(&[]));
        let silent = MemberStatus { status: Err("down".to_owned()), ..named(2, None) };
        assert!(!agrees_on_leader(&[named(1, Some(1)), silent]));
    }
}
