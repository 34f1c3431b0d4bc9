//! Postings: for one subject, actor or action, its events of one frame. Pure.
//!
//! Keys hold a hash of the text: sled keeps up to 256 keys in one page, and a
//! page that grows past a quarter of a segment becomes a file of its own, which
//! sled never syncs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use sha2::{Digest, Sha256};

use super::format::{seal, span_of, take, unseal};
use crate::machine::Event;
use crate::machine::filter::HistoryFilter;
use crate::store::raft::host::DatabaseRecord;

const POSTING_TAG: u8 = b'p';

/// What a posting is about: a kind and the hash of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term(u8, [u8; 16]);

impl Term {
    pub(super) fn subject(text: &str) -> Term {
        Term::new(b's', text)
    }

    fn new(kind: u8, text: &str) -> Term {
        let hash = Sha256::digest(text);
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        Term(kind, short)
    }

    /// Under which terms an event is found.
    fn of(event: &Event) -> impl Iterator<Item = Term> {
        [Term::subject(&event.subject), Term::new(b'a', event.action.as_str())]
            .into_iter()
            .chain(event.actor.as_deref().map(|actor| Term::new(b'u', actor)))
    }

    /// The terms that all events must have which a filter admits.
    pub(super) fn of_filter(filter: &HistoryFilter) -> Vec<Term> {
        let HistoryFilter { subject, action, actor } = filter;
        let subject = subject.as_deref().map(Term::subject);
        let actor = actor.as_deref().map(|actor| Term::new(b'u', actor));
        let action = action.map(|action| Term::new(b'a', action.as_str()));
        [subject, actor, action].into_iter().flatten().collect()
    }

    pub(super) fn key(self, frame: u64) -> Vec<u8> {
        let mut key = vec![POSTING_TAG, self.0];
        key.extend(self.1);
        key.extend(frame.to_be_bytes());
        key
    }

    /// The term and frame of a posting's key.
    pub(super) fn decode(key: &[u8]) -> Option<(Term, u64)> {
        let mut rest = key.strip_prefix(&[POSTING_TAG])?;
        let [kind] = take(&mut rest)?;
        let term = Term(kind, take(&mut rest)?);
        let frame = u64::from_be_bytes(take(&mut rest)?);
        rest.is_empty().then_some((term, frame))
    }

    /// A number for the fact that `revision` is listed under the term. The sum
    /// of these over a frame tells whether its postings are all there. Compared
    /// only within one process, so the hash may be whichever std has.
    pub(super) fn mark(self, revision: u64) -> u64 {
        let mut hash = DefaultHasher::new();
        hash.write(&self.1);
        hash.write_u8(self.0);
        hash.write_u64(revision);
        hash.finish()
    }
}

/// The revisions that a posting lists, ascending, if it is whole.
pub(super) fn decode_posting(key: &[u8], value: &[u8]) -> Option<Vec<u64>> {
    let (_, frame) = Term::decode(key)?;
    let offsets = unseal(key, value)?;
    Some(offsets.iter().map(|&offset| span_of(frame).0 + u64::from(offset)).collect())
}

/// The postings of one frame.
#[derive(Default)]
pub(super) struct FrameIndex {
    /// Offsets of the events of each term, ascending; changed since they were
    /// last taken or not.
    terms: BTreeMap<Term, (Vec<u8>, bool)>,
}

impl FrameIndex {
    /// Adds an event of the frame.
    pub(super) fn add(&mut self, event: &Event) {
        let offset = (event.revision.0 & 0xff) as u8;
        for term in Term::of(event) {
            let (offsets, changed) = self.terms.entry(term).or_default();
            if let Err(at) = offsets.binary_search(&offset) {
                offsets.insert(at, offset);
                *changed = true;
            }
        }
    }

    /// The postings that changed since they were last taken.
    pub(super) fn take_changed(&mut self, frame: u64) -> Vec<DatabaseRecord> {
        let mut puts = Vec::new();
        for (term, (offsets, changed)) in &mut self.terms {
            if std::mem::take(changed) {
                let key = term.key(frame);
                let value = seal(&key, offsets);
                puts.push((key, value));
            }
        }
        puts
    }

    /// The sum of all marks.
    pub(super) fn marks(&self, frame: u64) -> u64 {
        let first = span_of(frame).0;
        let each = self.terms.iter().flat_map(|(term, (offsets, _))| {
            offsets.iter().map(move |&offset| term.mark(first + u64::from(offset)))
        });
        each.fold(0, u64::wrapping_add)
    }
}

/// The bounds, both included, of all keys of postings.
pub(super) fn posting_bounds() -> (Vec<u8>, Vec<u8>) {
    (vec![POSTING_TAG], Term(u8::MAX, [u8::MAX; 16]).key(u64::MAX))
}
