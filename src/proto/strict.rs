//! How messages of the public API are read: requests strictly, replies as any
//! Protobuf reader does.
//!
//! A field that is skipped because the reader does not know it might have been
//! a condition ("only if ..."), so a server that skipped it would do what it
//! was not asked for. A client, on the other hand, may well be older than its
//! server.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic_prost::ProstEncoder;

use super::sidecar;

/// A message of the public API.
pub trait ApiMessage: Message + Default + Send + 'static {
    /// Whether bytes that are of no known field make it unreadable.
    const STRICT: bool;
}

macro_rules! messages {
    ($strict:literal: $($message:ident,)*) => {
        $(impl ApiMessage for sidecar::$message { const STRICT: bool = $strict; })*
    };
}

messages! { true: SubmitRequest, AskRequest, WatchRequest, WaitRequest, ExportRequest, StatusRequest, }
messages! { false: SubmitReply, AskReply, WatchReply, WaitReply, ExportChunk, StatusReply, }
messages! { true: AddMemberRequest, RemoveMemberRequest, TransferLeadershipRequest, }
messages! { false: AddMemberReply, RemoveMemberReply, TransferLeadershipReply, }
messages! { true: TakeSnapshotRequest, }
messages! { false: TakeSnapshotReply, }

/// Writes `T`, reads `U`.
#[derive(Clone, Debug)]
pub struct StrictCodec<T, U>(PhantomData<(T, U)>);

/// Reads `U`.
#[derive(Clone, Debug)]
pub struct StrictDecoder<U>(PhantomData<U>);

impl<T, U> Default for StrictCodec<T, U> {
    fn default() -> Self {
        StrictCodec(PhantomData)
    }
}

impl<T: ApiMessage, U: ApiMessage> Codec for StrictCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = StrictDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder(PhantomData)
    }
}

impl<U: ApiMessage> Decoder for StrictDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buf.remaining();
        let message =
            U::decode(buf).map_err(|error| unreadable(format!("malformed message: {error}")))?;
        // Fields that are not known were skipped, so the message is shorter
        // than what it was read from.
        let unread = bytes.saturating_sub(message.encoded_len());
        if U::STRICT && unread > 0 {
            return Err(unreadable(format!("{unread} bytes of the message are of no known field")));
        }
        Ok(Some(message))
    }
}

fn unreadable(message: String) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("sidecar-code", MetadataValue::from_static("invalid_argument"));
    Status::with_metadata(tonic::Code::InvalidArgument, message, metadata)
}
