//! The byte form: every value reads back, nothing else does, and a change of the
//! form fails a test.

mod any;
mod golden;
mod strict;

use std::fmt::Debug;
use std::mem::{Discriminant, discriminant};

use self::any::{Any, Fill};
use bytes::Bytes;

use super::encoding::encode;
use super::*;
use crate::machine::{Answer, Command, Event, Question, Reply, Row};

/// A record of any kind, with the function that decodes it and encodes it again.
struct Sample {
    name: String,
    bytes: Bytes,
    again: fn(&Bytes) -> Result<Bytes, CodecError>,
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("SEED={seed}");
    seed
}

/// One record of every kind, each checked to read back unchanged.
fn samples(any: &mut Any) -> Vec<Sample> {
    let mut samples = Vec::new();
    for command in any.commands() {
        check(encode_envelope, decode_envelope, any.envelope(command.clone()), &mut samples, |b| {
            decode_envelope(b).map(|v| encode_envelope(&v))
        });
        check(encode_forwarded, decode_forwarded, any.forwarded(command), &mut samples, |b| {
            decode_forwarded(b).map(|v| encode_forwarded(&v))
        });
    }
    for reply in any.replies() {
        check(encode_reply, decode_reply, reply, &mut samples, |b| {
            decode_reply(b).map(|v| encode_reply(&v))
        });
    }
    for record in any.state_records() {
        check(encode_state_record, decode_state_record, record, &mut samples, |b| {
            decode_state_record(b).map(|v| encode_state_record(&v))
        });
    }
    for question in any.questions() {
        check(encode_question, decode_question, question, &mut samples, |b| {
            decode_question(b).map(|v| encode_question(&v))
        });
    }
    for answer in any.answers() {
        check(encode_answer, decode_answer, answer, &mut samples, |b| {
            decode_answer(b).map(|v| encode_answer(&v))
        });
    }
    check(encode_event, decode_event, any.event(), &mut samples, |b| {
        decode_event(b).map(|v| encode_event(&v))
    });
    samples
}

fn check<T: PartialEq + Debug>(
    encode: fn(&T) -> Bytes,
    decode: fn(&Bytes) -> Result<T, CodecError>,
    value: T,
    samples: &mut Vec<Sample>,
    again: fn(&Bytes) -> Result<Bytes, CodecError>,
) {
    let bytes = encode(&value);
    match decode(&bytes) {
        Ok(read) => assert_eq!(read, value, "read back changed"),
        Err(error) => panic!("{value:?} cannot be read back: {error}"),
    }
    samples.push(Sample { name: format!("{value:?}"), bytes, again });
}

#[test]
fn every_kind_of_value_reads_back_unchanged() {
    let seed = seed();
    for fill in [Fill::Bare, Fill::Full] {
        samples(&mut Any::new(seed, fill));
    }
    let mut any = Any::new(seed, Fill::Mixed);
    for _ in 0..200 {
        samples(&mut any);
    }
}

#[test]
fn equal_values_have_equal_bytes() {
    let seed = seed();
    let one = samples(&mut Any::new(seed, Fill::Full));
    let other = samples(&mut Any::new(seed, Fill::Full));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.bytes, other.bytes, "{}", one.name);
    }
}

/// Asserts that no kind occurs twice in a list, and returns its length. A length of
/// all kinds then says that every kind is there.
fn kinds<T>(list: &[T]) -> usize {
    let mut seen: Vec<Discriminant<T>> = Vec::new();
    for value in list {
        assert!(!seen.contains(&discriminant(value)), "a kind occurs twice");
        seen.push(discriminant(value));
    }
    seen.len()
}

#[test]
fn the_generator_leaves_no_kind_out() {
    let mut any = Any::new(1, Fill::Full);
    // The numbers of variants. The codec matches variants by name, so a new one breaks
    // the build there and leads here.
    assert_eq!(kinds(&any.commands()), 26);
    assert_eq!(kinds(&any.replies()), 20);
    let row = |record| match record {
        StateRecord::Row(row) => Some(row),
        StateRecord::Meta(_) => None,
    };
    let rows: Vec<Row> = any.state_records().into_iter().filter_map(row).collect();
    assert_eq!(kinds(&rows), 12);
    assert_eq!(kinds(&any.questions()), 17);
    assert_eq!(kinds(&any.answers()), 16);
}

#[test]
fn a_digest_tells_commands_apart_and_nothing_else() {
    let seed = seed();
    let mut any = Any::new(seed, Fill::Full);
    let (one, other) = (any.commands(), any.commands());
    for (at, command) in one.iter().enumerate() {
        assert_eq!(digest(command), digest(&command.clone()));
        for (at_other, other) in other.iter().chain(&one).enumerate() {
            let same = digest(command) == digest(other);
            assert_eq!(same, command == other, "{at} {command:?}, {at_other} {other:?}");
        }
    }
}
