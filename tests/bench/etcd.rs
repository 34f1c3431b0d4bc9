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

/// `etcdserverpb.PutResponse`, of which nothing is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// `etcdserverpb.RangeResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub rows: Vec<KeyValue>,
    #[prost(int64, tag = "4")]
    pub count: i64,
}

/// `etcdserverpb.ResponseHeader`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub cluster: u64,
    #[prost(uint64, tag = "2")]
    pub member: u64,
    #[prost(int64, tag = "3")]
    pub revision: i64,
    #[prost(uint64, tag = "4")]
    pub term: u64,
}

/// `mvccpb.KeyValue`
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// Writes of the key since it was created.
    #[prost(int64, tag = "4")]
    pub version: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

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
        let PutResponse {} = self.call(request, "/etcdserverpb.KV/Put").await?;
        Ok(())
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        self.get(key).await?;
        Ok(())
    }

    /// As [`EtcdClient::read`], with the answer.
    pub async fn get(&mut self, key: &str) -> Result<RangeResponse> {
        self.call(RangeRequest { key: key.into() }, "/etcdserverpb.KV/Range").await
    }

    async fn call<M, R>(&mut self, message: M, path: &'static str) -> Result<R>
    where
        M: prost::Message + Default + 'static,
        R: prost::Message + Default + 'static,
    {
        self.0.ready().await?;
        let codec: ProstCodec<M, R> = ProstCodec::default();
        let path = hyper::http::uri::PathAndQuery::from_static(path);
        Ok(self.0.unary(tonic::Request::new(message), path, codec).await?.into_inner())
    }
}
