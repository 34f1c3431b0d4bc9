//! The least of an etcd client: put and linearizable get over gRPC, with the
//! few fields of etcd's messages that they need.

use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::Result;

/// `etcdserverpb.PutRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `etcdserverpb.RangeRequest`; linearizable unless it says `serializable`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// What either answers, of which nothing is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct Ignored {}

/// One connection to one node.
pub struct EtcdClient(tonic::client::Grpc<Channel>);

impl EtcdClient {
    /// Connects to `host:port`.
    pub async fn connect(host: String) -> Result<EtcdClient> {
        let channel = Endpoint::from_shared(format!("http://{host}"))?.connect().await?;
        Ok(EtcdClient(tonic::client::Grpc::new(channel)))
    }

    pub async fn write(&mut self, key: &str, value: &str) -> Result<()> {
        let request = PutRequest { key: key.into(), value: value.into() };
        self.call(request, "/etcdserverpb.KV/Put").await
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        self.call(RangeRequest { key: key.into() }, "/etcdserverpb.KV/Range").await
    }

    async fn call<M>(&mut self, message: M, path: &'static str) -> Result<()>
    where
        M: prost::Message + Default + 'static,
    {
        self.0.ready().await?;
        let codec: ProstCodec<M, Ignored> = ProstCodec::default();
        let path = hyper::http::uri::PathAndQuery::from_static(path);
        self.0.unary(tonic::Request::new(message), path, codec).await?;
        Ok(())
    }
}
