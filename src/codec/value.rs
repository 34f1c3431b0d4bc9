//! Conversions that many messages share: text, tags, hashes and required fields.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::error::CodecError;
use crate::machine::command::{Fence, Rank, Rules};
use crate::machine::event::Chain;
use crate::machine::{ClusterMs, Json, Revision, Text};
use crate::proto::state as proto;

pub(super) fn text(text: &Text) -> String {
    text.as_ref().to_owned()
}

pub(super) fn text_opt(opt: &Option<Text>) -> Option<String> {
    opt.as_ref().map(text)
}

pub(super) fn json(json: &Json) -> String {
    json.as_str().to_owned()
}

pub(super) fn json_opt(opt: &Option<Json>) -> Option<String> {
    opt.as_ref().map(json)
}

pub(super) fn revision_opt(opt: Option<Revision>) -> Option<u64> {
    opt.map(|revision| revision.0)
}

pub(super) fn clock_opt(opt: Option<ClusterMs>) -> Option<u64> {
    opt.map(|clock| clock.0)
}

pub(super) fn rank(rank: Rank) -> proto::Rank {
    proto::Rank { priority: rank.priority, created_revision: rank.place.0 }
}

pub(super) fn to_rank(rank: proto::Rank) -> Rank {
    Rank { priority: rank.priority, place: Revision(rank.created_revision) }
}

pub(super) fn tags(tags: &BTreeMap<Text, Text>) -> Vec<proto::Tag> {
    tags.iter().map(|(name, value)| proto::Tag { name: text(name), value: text(value) }).collect()
}

/// Refuses a name that occurs twice, because it is unknown which value is meant.
pub(super) fn to_tags(
    message: &'static str,
    tags: Vec<proto::Tag>,
) -> Result<BTreeMap<Text, Text>, CodecError> {
    let mut map = BTreeMap::new();
    for proto::Tag { name, value } in tags {
        let name = Text::from(name);
        if map.insert(name.clone(), value.into()).is_some() {
            return Err(CodecError::Twice { message, field: "tags", name });
        }
    }
    Ok(map)
}

/// One name in the field that older versions know, and several names in another one.
pub(super) fn one_or_more(names: &BTreeSet<Text>) -> (Option<String>, Vec<String>) {
    match names.len() {
        0 | 1 => (names.first().map(text), Vec::new()),
        _ => (None, names.iter().map(text).collect()),
    }
}

/// Refuses a name that occurs twice.
pub(super) fn to_one_or_more(
    message: &'static str,
    name: Option<String>,
    names: Vec<String>,
) -> Result<BTreeSet<Text>, CodecError> {
    let mut set = BTreeSet::new();
    for name in name.into_iter().chain(names).map(Text::from) {
        if !set.insert(name.clone()) {
            return Err(CodecError::Twice { message, field: "names", name });
        }
    }
    Ok(set)
}

pub(super) fn fence(fence: &Option<Fence>) -> Option<proto::Fence> {
    fence
        .as_ref()
        .map(|fence| proto::Fence { resource_id: text(&fence.resource_id), token: fence.token.0 })
}

pub(super) fn to_fence(fence: Option<proto::Fence>) -> Option<Fence> {
    fence.map(|proto::Fence { resource_id, token }| Fence {
        resource_id: resource_id.into(),
        token: Revision(token),
    })
}

pub(super) fn hash(hash: &[u8; 32]) -> Bytes {
    Bytes::copy_from_slice(hash)
}

pub(super) fn to_hash(
    message: &'static str,
    field: &'static str,
    bytes: &Bytes,
) -> Result<[u8; 32], CodecError> {
    <[u8; 32]>::try_from(&bytes[..]).map_err(|_| CodecError::Length {
        message,
        field,
        found: bytes.len(),
        expected: 32,
    })
}

pub(super) fn to_chain(
    message: &'static str,
    field: &'static str,
    bytes: &Bytes,
) -> Result<Chain, CodecError> {
    to_hash(message, field, bytes).map(Chain)
}

/// The value of a required field. A kind of a `oneof` that this version does not know
/// counts as missing, too.
pub(super) fn required<T>(
    message: &'static str,
    field: &'static str,
    value: Option<T>,
) -> Result<T, CodecError> {
    value.ok_or(CodecError::Missing { message, field })
}

pub(super) fn to_text_opt(opt: Option<String>) -> Option<Text> {
    opt.map(Text::from)
}

pub(super) fn to_json_opt(opt: Option<String>) -> Option<Json> {
    opt.map(Json::new)
}

pub(super) fn to_revision_opt(opt: Option<u64>) -> Option<Revision> {
    opt.map(Revision)
}

pub(super) fn to_clock_opt(opt: Option<u64>) -> Option<ClusterMs> {
    opt.map(ClusterMs)
}

/// Converts every element of a list, or returns the first error.
pub(super) fn all<P, T>(list: Vec<P>) -> Result<Vec<T>, CodecError>
where
    T: TryFrom<P, Error = CodecError>,
{
    list.into_iter().map(T::try_from).collect()
}

pub(super) fn rules(rules: Rules) -> u32 {
    match rules {
        Rules::Whole => 0,
        Rules::Stepwise => 1,
        Rules::Attempts => 2,
    }
}

pub(super) fn to_rules(message: &'static str, rules: u32) -> Result<Rules, CodecError> {
    match rules {
        0 => Ok(Rules::Whole),
        1 => Ok(Rules::Stepwise),
        2 => Ok(Rules::Attempts),
        other => Err(CodecError::Range { message, field: "rules", found: other.into() }),
    }
}
