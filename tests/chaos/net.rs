//! A network of our own: a namespace for each node and one for the agents, on
//! one bridge, with no way to the machine's own network. Made before the nodes
//! and removed at the end.
//!
//! The test runs itself again inside the agents' namespace, so that its calls
//! come from there.

use std::process::{Command, Stdio};

/// Says to a process that it is the one inside, and by which names.
const INSIDE: &str = "CHAOS_NETWORK";

/// The namespaces of one run. Removed when dropped.
pub struct Network {
    name: String,
    nodes: usize,
}

/// How a node is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What the first sends does not reach the second.
    OneWay,
    BothWays,
}

impl Network {
    /// Makes the namespaces, where this process may and the tools are there.
    ///
    /// # Errors
    /// Why not.
    pub fn make(nodes: usize) -> Result<Network, String> {
        let network = Network { name: format!("chaos{}", std::process::id()), nodes };
        let switch = network.switch();
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "br0", "up"])?;
        for at in 0..=nodes {
            let (space, port) = (network.space(at), format!("p{at}"));
            ip(&["netns", "add", &space])?;
            ip(&[
                "link", "add", "eth0", "netns", &space, "type", "veth", "peer", "name", &port,
                "netns", &switch,
            ])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "br0"])?;
            ip(&["-n", &switch, "link", "set", &port, "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            let address = format!("{}/24", address(at));
            ip(&["-n", &space, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
        }
        network.filter(0, &["-L"])?;
        Ok(network)
    }

    /// The network that this process was started in, if it was.
    pub fn around() -> Option<Network> {
        let text = std::env::var(INSIDE).ok()?;
        let (name, nodes) = text.split_once('/')?;
        Some(Network { name: name.to_owned(), nodes: nodes.parse().ok()? })
    }

    /// Runs the test of this name inside, and tells whether it passed.
    pub fn run_inside(&self, test: &str) -> bool {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new("ip")
            .args(["netns", "exec", &self.space(self.nodes)])
            .arg(program)
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, format!("{}/{}", self.name, self.nodes))
            .status();
        status.expect("ip was there a moment ago").success()
    }

    /// What a program is started through to run in the namespace of a node.
    pub fn through(&self, at: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.space(at)].map(str::to_owned).to_vec()
    }

    /// Cuts the way from one node to another.
    pub fn cut(&self, from: usize, to: usize, cut: Cut) {
        self.drop_packets("-A", from, to);
        if cut == Cut::BothWays {
            self.drop_packets("-A", to, from);
        }
    }

    /// Heals all cuts.
    pub fn heal(&self) {
        for at in 0..self.nodes {
            self.filter(at, &["-F", "INPUT"]).expect("iptables was there a moment ago");
        }
    }

    fn drop_packets(&self, what: &str, from: usize, to: usize) {
        let rule = [what, "INPUT", "-s", &address(from), "-j", "DROP"];
        self.filter(to, &rule).expect("iptables was there a moment ago");
    }

    fn filter(&self, at: usize, rule: &[&str]) -> Result<(), String> {
        let space = self.space(at);
        let words = ["netns", "exec", &space, "iptables", "-w"];
        ip(&[&words, rule].concat())
    }

    fn switch(&self) -> String {
        format!("{}sw", self.name)
    }

    /// The namespace of a node; the last one is the agents'.
    fn space(&self, at: usize) -> String {
        format!("{}n{at}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The process inside leaves them to the one that made them.
        if std::env::var_os(INSIDE).is_some() {
            return;
        }
        for at in 0..=self.nodes {
            let _ = ip(&["netns", "del", &self.space(at)]);
        }
        let _ = ip(&["netns", "del", &self.switch()]);
    }
}

/// Where a node is reached.
pub fn address(at: usize) -> String {
    format!("10.77.5.{}", at + 1)
}

fn ip(words: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(words).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("ip: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("ip {words:?}: {}", String::from_utf8_lossy(&done.stderr).trim())),
    }
}
