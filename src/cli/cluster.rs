//! `cluster`: how the nodes are, each asked for itself.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::target::{Target, endpoint};
use super::{Failure, print_json};

/// A node that takes longer counts as not answering.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

const WAIT_POLL: Duration = Duration::from_millis(200);

/// Look at a cluster
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(StatusArgs),
}

/// Show every node: its role, term, indices and lag
///
/// Exit code 0: there is a leader and every node answers; 1: not so.
#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Print the leader's number alone
    #[arg(long, conflicts_with = "json")]
    leader: bool,
    /// Wait until there is a leader and every node answers, this long at most
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// One member, by its own account where it answers.
#[derive(Clone, Debug)]
struct Row {
    id: u64,
    url: String,
    /// Its own health, or why there is none.
    health: Result<Value, String>,
    /// Entries behind the leader's log, as the leader sees it.
    lag: Option<u64>,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Status(args) => status(args).await,
    }
}

async fn status(args: StatusArgs) -> Result<ExitCode, Failure> {
    let client = args.target.credentials.client().map_err(Failure::usage)?;
    let give_up = Instant::now() + Duration::from_secs(args.wait.unwrap_or(0));
    let rows = loop {
        let rows = look(&client, &args.target).await;
        let good = rows.as_ref().is_ok_and(|rows| is_whole(rows));
        if good || Instant::now() >= give_up {
            break rows?;
        }
        tokio::time::sleep(WAIT_POLL).await;
    };
    if args.leader {
        match rows.iter().find_map(leader_by) {
            Some(leader) => println!("{leader}"),
            None => return Err(Failure::run("no leader is known")),
        }
    } else if args.json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        println!("{}", print_json(&Value::Array(rows)));
    } else {
        println!("{}", table(&rows));
    }
    Ok(if is_whole(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the target who the members are, then each of them.
async fn look(client: &Client, target: &Target) -> Result<Vec<Row>, Failure> {
    let health = health(client, &target.url()).await.map_err(Failure::run)?;
    let Some(members) = health["cluster"]["members"].as_array().cloned() else {
        let backend = health["backend"].as_str().unwrap_or("another store");
        let line = format!("{} is no cluster's node: it runs on {backend}", target.url());
        return Err(Failure::run(line));
    };
    let rows = members.iter().map(|member| async {
        let id = member["id"].as_u64().unwrap_or_default();
        let url = endpoint(member["url"].as_str().unwrap_or_default());
        let itself = Some(id) == health["cluster"]["node"].as_u64();
        let health = if itself { Ok(health.clone()) } else { self::health(client, &url).await };
        Row { id, url, health, lag: None }
    });
    let mut rows = join_all(rows).await;
    fill_in_lags(&mut rows);
    Ok(rows)
}

async fn health(client: &Client, url: &str) -> Result<Value, String> {
    let answer = client.call(url, "sidecar_health", Map::new(), NODE_TIMEOUT).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.is_error { Err(answer.content.to_string()) } else { Ok(answer.content) }
}

/// Only the leader knows how far the others are.
fn fill_in_lags(rows: &mut [Row]) {
    let leader = rows.iter().find(|row| row.text("role") == "leader");
    let members = leader.and_then(|row| row.cluster()?["members"].as_array().cloned());
    for member in members.unwrap_or_default() {
        for row in rows.iter_mut().filter(|row| Some(row.id) == member["id"].as_u64()) {
            row.lag = member["lag"].as_u64();
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
    row.cluster()?["leader"].as_u64()
}

impl Row {
    fn cluster(&self) -> Option<&Value> {
        self.health.as_ref().ok().map(|health| &health["cluster"])
    }

    fn text(&self, field: &str) -> String {
        match self.cluster().map(|cluster| &cluster[field]) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        }
    }

    fn to_json(&self) -> Value {
        match &self.health {
            Ok(health) => json!({"id": self.id, "url": self.url, "answers": true,
                "lag": self.lag, "health": health}),
            Err(error) => {
                json!({"id": self.id, "url": self.url, "answers": false, "error": error})
            }
        }
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["NODE", "ROLE", "TERM", "LEADER", "APPLIED", "COMMITTED", "LAG", "MCP"]);
    for row in rows {
        let role = match &row.health {
            Ok(_) => row.text("role"),
            Err(_) => "no answer".to_owned(),
        };
        let lag = row.lag.map_or("-".to_owned(), |lag| lag.to_string());
        table.add_row([
            row.id.to_string(),
            role,
            row.text("term"),
            row.text("leader"),
            row.text("applied_index"),
            row.text("committed_index"),
            lag,
            row.url.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, role: &str, leader: Option<u64>, members: Value) -> Row {
        let health = json!({"cluster": {"node": id, "role": role, "leader": leader,
            "term": 4, "applied_index": 10, "committed_index": 10, "members": members}});
        Row { id, url: format!("http://n{id}/mcp"), health: Ok(health), lag: None }
    }

    #[test]
    fn the_leaders_view_gives_the_lags() {
        let members = json!([{"id": 1, "lag": 0}, {"id": 2, "lag": 7}]);
        let mut rows = [
            row(1, "leader", Some(1), members),
            row(2, "follower", Some(1), json!([{"id": 1, "lag": null}])),
        ];
        fill_in_lags(&mut rows);
        assert_eq!((rows[0].lag, rows[1].lag), (Some(0), Some(7)));
        assert!(table(&rows).to_string().contains("follower"));
    }

    #[test]
    fn a_cluster_is_whole_when_all_name_one_leader() {
        let named = |id, leader| row(id, "follower", leader, json!([]));
        assert!(is_whole(&[named(1, Some(2)), named(2, Some(2))]));
        assert!(!is_whole(&[named(1, Some(2)), named(2, Some(1))]));
        assert!(!is_whole(&[named(1, None), named(2, None)]));
        assert!(!is_whole(&[]));
        let silent = Row { health: Err("down".to_owned()), ..named(2, None) };
        assert!(!is_whole(&[named(1, Some(1)), silent]));
    }
}
