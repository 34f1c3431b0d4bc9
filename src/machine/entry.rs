//! Index entries as bytes that sort as the values in them do.

use std::sync::Arc;

/// One entry of an index: the prefix (index and facet), the rank and the row's
/// id; see [`super::index`].
pub type IndexEntry = Arc<[u8]>;

/// Adds a text after its length, so that no encoded text is the beginning of
/// another one.
pub fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend(text.bytes());
}

/// The first byte string that sorts after exactly these bytes.
pub fn successor(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

/// The first byte string that sorts after all that begin with `prefix`.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}
