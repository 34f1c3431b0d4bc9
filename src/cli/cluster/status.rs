//! `cluster status`: how the nodes are, each asked for itself over gRPC.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cli::remote::{self, NODE_TIMEOUT, Token};
use crate::cli::target::Credentials;
use crate::cli::{Failure, print_json};
use crate::proto::sidecar::{Cluster, Role, StatusReply, StatusRequest};

const WAIT_POLL: Duration = Duration::from_millis(100);

/// Show every node: its role, term, indices and lag
///
/// Exit code 0: there is a leader and every node answers; 1: not so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A node's gRPC address (SIDECAR_RAFT_ADDR)
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    node: String,
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Print the leader's number alone; exit code 0 where one is known
    #[arg(long, conflicts_with = "json")]
    leader: bool,
    /// Wait until there is a leader and every node answers, this long at most
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    credentials: Credentials,
}

/// One member, by its own account where it answers.
#[derive(Clone, Debug)]
struct Row {
    id: u64,
    /// Where its peers and programs reach it.
    addr: String,
    /// Its own account, or why there is none.
    status: Result<StatusReply, String>,
    /// Whether it votes, or only follows.
    voter: bool,
    /// Entries behind the leader's log, as the leader sees it.
    lag: Option<u64>,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let token = args.credentials.token().map_err(Failure::usage)?;
    let token = Token::new(token).map_err(Failure::usage)?;
    let give_up = Instant::now() + Duration::from_secs(args.wait.unwrap_or(0));
    let rows = loop {
        let rows = look(&args.node, &token).await;
        let good = rows.as_ref().is_ok_and(|rows| is_whole(rows));
        if good || Instant::now() >= give_up {
            break rows?;
        }
        tokio::time::sleep(WAIT_POLL).await;
    };
    if args.leader {
        let leader = rows.iter().find_map(leader_by);
        let leader = leader.ok_or_else(|| Failure::run("no leader is known"))?;
        println!("{leader}");
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        println!("{}", print_json(&Value::Array(rows)));
    } else {
        println!("{}", table(&rows));
    }
    Ok(if is_whole(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the node who the members are, then each of them.
async fn look(node: &str, token: &Token) -> Result<Vec<Row>, Failure> {
    let asked = ask(node, token).await.map_err(Failure::run)?;
    let Some(cluster) = asked.cluster.clone() else {
        let line = format!("{node} is no cluster's node: it runs on {}", asked.backend);
        return Err(Failure::run(line));
    };
    if cluster.members.is_empty() {
        let line = format!("node {} belongs to no cluster yet: `cluster add` it", cluster.node_id);
        return Err(Failure::run(line));
    }
    let rows = cluster.members.iter().map(|member| async {
        let itself = member.id == cluster.node_id;
        let status = if itself { Ok(asked.clone()) } else { ask(&member.addr, token).await };
        Row { id: member.id, addr: member.addr.clone(), status, voter: member.voter, lag: None }
    });
    let mut rows = join_all(rows).await;
    fill_in_lags(&mut rows);
    Ok(rows)
}

async fn ask(addr: &str, token: &Token) -> Result<StatusReply, String> {
    let plain = remote::plain(addr);
    let asking = async {
        let mut client = remote::connect(addr).await?;
        let reply = client.status(token.on(StatusRequest {})).await;
        reply.map_err(|status| format!("{plain} refuses: {}", status.message()))
    };
    match tokio::time::timeout(NODE_TIMEOUT, asking).await {
        Ok(reply) => reply.map(tonic::Response::into_inner),
        Err(_) => Err(format!("no answer from {plain} within {} s", NODE_TIMEOUT.as_secs())),
    }
}

/// Only the leader knows how far the others are.
fn fill_in_lags(rows: &mut [Row]) {
    let leads = |cluster: &&Cluster| cluster.role() == Role::Leader;
    let Some(leader) = rows.iter().filter_map(Row::cluster).find(leads).cloned() else { return };
    for member in leader.members {
        for row in rows.iter_mut().filter(|row| row.id == member.id) {
            row.lag = member.lag;
        }
    }
}

/// Whether all answer and agree on one leader.
fn is_whole(rows: &[Row]) -> bool {
    let first = rows.first().and_then(leader_by);
    first.is_some() && rows.iter().all(|row| leader_by(row) == first)
}

/// Who leads, by this node's account.
fn leader_by(row: &Row) -> Option<u64> {
    row.cluster()?.leader
}

impl Row {
    fn cluster(&self) -> Option<&Cluster> {
        self.status.as_ref().ok()?.cluster.as_ref()
    }

    /// Where clients reach its MCP, as only itself knows.
    fn url(&self) -> &str {
        let members = self.cluster().map(|cluster| cluster.members.as_slice());
        let itself = members.unwrap_or_default().iter().find(|member| member.id == self.id);
        itself.map_or("", |member| member.url.as_str())
    }

    fn to_json(&self) -> Value {
        let (id, addr, lag) = (self.id, &self.addr, self.lag);
        let (status, cluster) = match (&self.status, self.cluster()) {
            (Ok(status), Some(cluster)) => (status, cluster),
            (Ok(_), None) => return json!({"id": id, "addr": addr, "error": "no cluster's node"}),
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
            "revision": status.revision, "chain": hex(&status.chain), "fault": status.fault})
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn table(rows: &[Row]) -> Table {
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

    fn row(id: u64, role: Role, leader: Option<u64>, lags: &[(u64, u64)]) -> Row {
        let member = |&(id, lag): &(u64, u64)| Member { id, lag: Some(lag), ..Default::default() };
        let members = lags.iter().map(member).collect();
        let cluster = Cluster { role: role.into(), leader, members, ..Default::default() };
        let status = StatusReply { cluster: Some(cluster), ..Default::default() };
        Row { id, addr: format!("n{id}:9000"), status: Ok(status), voter: true, lag: None }
    }

    #[test]
    fn the_leaders_view_gives_the_lags() {
        let mut rows = [
            row(1, Role::Follower, Some(2), &[(1, 99)]),
            row(2, Role::Leader, Some(2), &[(1, 7), (2, 0)]),
        ];
        fill_in_lags(&mut rows);
        assert_eq!((rows[0].lag, rows[1].lag), (Some(7), Some(0)));
        assert!(table(&rows).to_string().contains("follower"));
    }

    #[test]
    fn a_cluster_is_whole_when_all_name_one_leader() {
        let named = |id, leader| row(id, Role::Follower, leader, &[]);
        assert!(is_whole(&[named(1, Some(2)), named(2, Some(2))]));
        assert!(!is_whole(&[named(1, Some(2)), named(2, Some(1))]));
        assert!(!is_whole(&[named(1, None), named(2, None)]));
        assert!(!is_whole(&[]));
        let silent = Row { status: Err("down".to_owned()), ..named(2, None) };
        assert!(!is_whole(&[named(1, Some(1)), silent]));
    }
}
