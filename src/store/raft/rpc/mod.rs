//! The peer network: what the nodes of one cluster send each other over gRPC.
//!
//! [`PeerNetwork`] is how a node calls its peers, and [`peer_service`] is what
//! answers them. Each peer is reached over three long-lived connections, so that a
//! snapshot does not delay appends, and an append does not delay heartbeats. The
//! messages carry proposals, snapshots and events as bytes, which other modules
//! encode.
//!
//! Read in this order:
//!
//! | file | holds |
//! |---|---|
//! | `options` | timeouts |
//! | `authentication` | how a node presents itself to its peers |
//! | `interceptor` | which requests a node accepts |
//! | `dial`, `connections` | the connections to one peer |
//! | `conversion` | openraft's messages to and from `proto/peer.proto` |
//! | `network` | calls to peers, and openraft's network factory |
//! | `client`, `failure` | one peer as openraft calls it, and how calls fail |
//! | `append_stream` | streamed appends to one peer |
//! | `snapshot_transfer` | sending and receiving a snapshot |
//! | `forward`, `forward_stream` | forwarding a follower's proposals to the leader |
//! | `server` | the gRPC service for peers |
//! | `forward_server` | answering forwarded proposals |
//! | `handler` | the interface from the service to the store |
//! | `node_handler` | its implementation |

pub(crate) mod append_stream;
pub(crate) mod authentication;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod conversion;
mod failure;
pub(crate) mod forward;
pub(crate) mod forward_server;
pub(crate) mod forward_stream;
pub(crate) mod handler;
pub(crate) mod interceptor;
#[cfg(test)]
mod interceptor_tests;
mod network;
pub(crate) mod node_handler;
mod options;
pub(crate) mod server;
pub(crate) mod snapshot_transfer;

pub use authentication::{PeerCredentials, PeerIdentity, SPEAKS, SecretError, protocol_of};
pub use client::RemotePeer;
pub use connections::{MESSAGE_BYTES_MAX, PeerClient, server_builder};
pub use forward::{ForwardError, Forwarder};
pub use handler::{PeerHandler, PeerRefusal, PeerRefusalCode, ReadIndex};
pub use interceptor::{AuthenticatedPeer, PeerAuthenticator, expulsion_in};
pub use network::{CallError, PeerNetwork};
pub use options::Options;
pub use server::{PeerService, peer_service};
