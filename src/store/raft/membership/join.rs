//! Whether a node may join: what the leader checks before it adds one.

use std::time::Duration;

use tokio::time::Instant;

use super::progress::MemberProgress;
use super::view::MembershipView;
use crate::store::cluster::{ClusterError, NewMember};
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::{CallError, PeerNetwork};

/// How long a new node may take to answer before it counts as absent.
const HELLO: Duration = Duration::from_secs(3);

/// Whether the node was added before, and the one that it replaces is gone.
pub(super) fn is_done(added: &NewMember, members: &MemberProgress) -> bool {
    let is_gone = |old: NodeId| !members.nodes.contains_key(&old);
    members.voters.contains(&added.id) && !members.is_joint && added.replaces.is_none_or(is_gone)
}

/// Checks a new node against the members that there are and have been.
///
/// # Errors
/// When its number or address belongs to another node, or it replaces a node
/// that never was.
pub(super) fn check_added(
    added: &NewMember,
    members: &MemberProgress,
    membership: &MembershipView,
) -> Result<(), ClusterError> {
    let NewMember { id, addr, replaces } = added;
    let refused = |why: String| Err(ClusterError::Refused(why));
    if membership.is_retired(*id) {
        return refused(format!(
            "{id} is the number of a node that was removed; numbers are never given out again"
        ));
    }
    if let Some(member) = members.nodes.get(id)
        && member.addr != *addr
    {
        return refused(format!("node {id} is a member already, at {}", member.addr));
    }
    let taken = members.nodes.iter().find(|(other, peer)| *other != id && peer.addr == *addr);
    if let Some((other, _)) = taken {
        return refused(format!("{addr} is the address of node {other}"));
    }
    match replaces {
        Some(old) if old == id => refused(format!("node {id} cannot replace itself")),
        Some(old) if !members.nodes.contains_key(old) && !membership.is_retired(*old) => {
            Err(ClusterError::NotFound(format!("there is no node {old}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Asks the new node at its address who it is.
///
/// # Errors
/// When it does not answer, is another node, or belongs to a cluster already.
pub(super) async fn ask_new_node(
    added: &NewMember,
    network: &PeerNetwork,
) -> Result<Peer, ClusterError> {
    let NewMember { id, addr, .. } = added;
    let refused = |why: String| Err(ClusterError::Refused(why));
    let hello = match network.hello(addr, Instant::now() + HELLO).await {
        Ok(hello) => hello,
        Err(CallError::Call { source, .. }) => {
            return refused(format!("{addr} cannot be asked: {}", source.message()));
        }
        Err(other) => return refused(format!("{addr} cannot be asked: {other}")),
    };
    if hello.node != *id {
        return refused(format!("at {addr} is node {}, not node {id}", hello.node));
    }
    if !hello.members.is_empty() {
        return refused(format!(
            "node {id} at {addr} belongs to a cluster already: start it with an empty folder, \
             and with a SIDECAR_MEMBERS that names the members there are and not itself"
        ));
    }
    let (url, incarnation) = (hello.url, hello.incarnation);
    Ok(Peer { addr: addr.clone(), url, incarnation })
}
