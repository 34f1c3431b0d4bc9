//! The storm: faults drawn from a seed, one after another, each ended before the
//! next begins, so that most of the time a majority could work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cluster::Cluster;
use crate::net::Cut;
use crate::{Gaps, wait_until};
use support::agent::Fleet;

/// Wall clocks stay within the five seconds that nodes may differ by.
const CLOCK_SECONDS: f64 = 2.0;

/// How long a fault lasts.
const LASTS_MS: std::ops::Range<u64> = 200..2_000;

/// Between the end of one and the next.
const PAUSE_MS: std::ops::Range<u64> = 100..800;

/// Answered calls between two faults: each finds the cluster at work.
const CALLS_BETWEEN: u64 = 30;

/// Makes faults.
pub struct Storm {
    random: StdRng,
    /// Members now, by their place; the others wait to be added, or are gone.
    members: Vec<usize>,
    spare: Vec<usize>,
    pub made: BTreeMap<&'static str, usize>,
    pub gaps: Gaps,
}

impl Storm {
    pub fn new(seed: u64, founders: usize, nodes: usize) -> Storm {
        Storm {
            random: StdRng::seed_from_u64(seed ^ 0x5707),
            members: (0..founders).collect(),
            spare: (founders..nodes).collect(),
            made: BTreeMap::new(),
            gaps: Gaps::default(),
        }
    }

    /// Who is a member at the end.
    pub fn members(&self) -> Vec<usize> {
        self.members.clone()
    }

    /// Makes faults until `end`.
    pub async fn rage(&mut self, cluster: &mut Cluster, fleet: &Fleet, end: Instant) {
        while Instant::now() < end {
            let goal = fleet.answered() + CALLS_BETWEEN;
            wait_until("calls are answered", || fleet.answered() >= goal).await;
            self.fault(cluster).await;
            let pause = self.random.random_range(PAUSE_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn lasts(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(LASTS_MS))
    }

    fn one(&mut self) -> usize {
        self.members[self.random.random_range(0..self.members.len())]
    }

    async fn fault(&mut self, cluster: &mut Cluster) {
        let kind = match self.random.random_range(0..100) {
            0..16 => self.kill_leader(cluster).await,
            16..26 => self.kill(cluster).await,
            26..38 => self.stop(cluster).await,
            38..52 => self.cut(cluster, Cut::BothWays).await,
            52..62 => self.cut(cluster, Cut::OneWay).await,
            62..68 => self.kill_all(cluster).await,
            68..74 => self.fill_disk(cluster).await,
            74..84 => self.turn_clock(cluster),
            84..94 => self.transfer(cluster).await,
            _ => self.change_members(cluster).await,
        };
        if let Some(kind) = kind {
            *self.made.entry(kind).or_default() += 1;
        }
    }

    /// The one fault whose outage is measured: from the kill until a write
    /// succeeds at another node.
    async fn kill_leader(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let leader = cluster.leader().await;
        let witness = self.members.iter().copied().find(|at| *at != leader)?;
        let witness = cluster.client(witness);
        crate::write(&witness).await;
        cluster.nodes[leader].sidecar.kill();
        let killed = Instant::now();
        crate::write(&witness).await;
        self.gaps.add(killed.elapsed());
        tokio::time::sleep(self.lasts()).await;
        self.start(cluster, leader).await;
        Some("leader killed")
    }

    async fn kill(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let at = self.one();
        cluster.nodes[at].sidecar.kill();
        tokio::time::sleep(self.lasts()).await;
        self.start(cluster, at).await;
        Some("node killed")
    }

    async fn stop(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let at = self.one();
        cluster.nodes[at].sidecar.pause();
        tokio::time::sleep(self.lasts()).await;
        cluster.nodes[at].sidecar.go_on();
        Some("node stopped and continued")
    }

    async fn cut(&mut self, cluster: &mut Cluster, cut: Cut) -> Option<&'static str> {
        let lasts = self.lasts();
        let (one, isolates) = (self.one(), self.random.random_bool(0.5));
        let other = self.one();
        let network = cluster.network.as_ref()?;
        for to in self.members.iter().copied().filter(|to| *to != one) {
            if isolates || to == other {
                network.cut(one, to, cut);
            }
        }
        tokio::time::sleep(lasts).await;
        network.heal();
        Some(match cut {
            Cut::OneWay => "partition one way",
            Cut::BothWays => "partition both ways",
        })
    }

    async fn kill_all(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        for at in self.members.clone() {
            cluster.nodes[at].sidecar.kill();
        }
        for at in self.members.clone() {
            cluster.nodes[at].sidecar.start();
        }
        cluster.ready(&self.members.clone()).await;
        Some("all nodes killed at once")
    }

    /// A node whose disk was full may have stopped for good: it is started again.
    async fn fill_disk(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let at = self.one();
        let lasts = self.lasts();
        let disk = cluster.nodes[at].disk.as_ref()?;
        disk.fill();
        tokio::time::sleep(lasts).await;
        disk.free();
        if cluster.nodes[at].sidecar.runs() {
            cluster.nodes[at].sidecar.kill();
        }
        self.start(cluster, at).await;
        Some("disk full")
    }

    fn turn_clock(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let (at, seconds) = (self.one(), self.random.random_range(-CLOCK_SECONDS..CLOCK_SECONDS));
        cluster.nodes[at].clock.as_ref()?.set(seconds);
        Some("clock set")
    }

    async fn transfer(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        let (asked, to) = (self.one(), cluster.nodes[self.one()].id.to_string());
        // It may be refused, where that node is behind just now.
        cluster.change(asked, &["transfer", &to]).await;
        Some("leadership handed over")
    }

    /// One comes, or one goes for good; never fewer than at first.
    async fn change_members(&mut self, cluster: &mut Cluster) -> Option<&'static str> {
        if let Some(at) = self.spare.pop() {
            let (id, addr) = (cluster.nodes[at].id.to_string(), cluster.nodes[at].grpc.clone());
            let asked = self.one();
            let done = cluster.change(asked, &["add", &id, &addr]).await;
            let text = String::from_utf8_lossy(&done.stderr).into_owned();
            match done.status.success() {
                true => self.members.push(at),
                // Half done it may be: the same command goes on with it.
                false => {
                    println!("add {id}: {}", text.trim());
                    self.spare.push(at);
                    return None;
                }
            }
            return Some("node added");
        }
        if self.members.len() <= crate::FOUNDERS {
            return None;
        }
        let at = self.one();
        let (id, asked) = (cluster.nodes[at].id.to_string(), self.one());
        let done = cluster.change(asked, &["remove", &id]).await;
        if !done.status.success() {
            println!("remove {id}: {}", String::from_utf8_lossy(&done.stderr).trim());
            return None;
        }
        self.members.retain(|other| *other != at);
        wait_until("a removed node stops by itself", || !cluster.nodes[at].sidecar.runs()).await;
        Some("node removed")
    }

    async fn start(&mut self, cluster: &mut Cluster, at: usize) {
        cluster.nodes[at].sidecar.start();
        cluster.ready(&[at]).await;
    }
}
