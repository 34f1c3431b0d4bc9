//! Bytes that are not one whole, known record are refused and cause no panic.

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::machine::Action;
use crate::machine::value::Json;
use crate::proto::{record as record_form, state};

#[test]
fn truncated_records_never_panic_and_never_read_as_another_value() {
    let seed = seed();
    for sample in samples(&mut Any::new(seed, Fill::Full)) {
        for end in 0..sample.bytes.len() {
            settles(&sample, sample.bytes.slice(..end));
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let seed = seed();
    for sample in samples(&mut Any::new(seed, Fill::Mixed)) {
        for bit in 0..sample.bytes.len() * 8 {
            let mut flipped = sample.bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            settles(&sample, flipped.into());
        }
    }
}

#[test]
fn noise_never_panics() {
    let seed = seed();
    let mut any = Any::new(seed, Fill::Mixed);
    let samples = samples(&mut any);
    for _ in 0..2_000 {
        let mut noise = vec![FORMAT];
        for _ in 0..6 {
            noise.extend(any.number().to_le_bytes());
            noise.extend(any.text().as_bytes());
        }
        let noise = Bytes::from(noise);
        for sample in &samples {
            settles(sample, noise.clone());
        }
    }
}

/// Damaged bytes are refused, or are the bytes of some value: then that value
/// has one form, which reads back the same.
fn settles(sample: &Sample, bytes: Bytes) {
    if let Ok(form) = (sample.again)(&bytes) {
        let again = (sample.again)(&form);
        assert!(again.is_ok_and(|again| again == form), "{} as {bytes:?}", sample.name);
    }
}

#[test]
fn a_newer_format_is_refused_by_number() {
    for sample in samples(&mut Any::new(1, Fill::Full)) {
        let mut newer = sample.bytes.to_vec();
        newer[0] = FORMAT + 1;
        let error = (sample.again)(&newer.into()).unwrap_err();
        assert!(
            matches!(error, CodecError::TooNew { found, known, .. } if found == 2 && known == 1),
            "{error}"
        );
    }
    let error = decode_envelope(&Bytes::from_static(&[9, 1, 2])).unwrap_err();
    assert_eq!(error.to_string(), "Envelope: format 9 is newer than 1, the newest known here");
}

#[test]
fn nothing_and_zeros_are_no_record() {
    for sample in samples(&mut Any::new(1, Fill::Full)) {
        for bytes in [&b""[..], &[0][..], &[0; 64][..]] {
            let error = (sample.again)(&Bytes::from_static(bytes)).unwrap_err();
            assert!(matches!(error, CodecError::Empty { .. }), "{error}");
        }
    }
}

#[test]
fn a_field_of_a_newer_version_is_refused_wherever_it_stands() {
    // Field 500, a number: unknown to every message.
    let strange = [0xa0, 0x1f, 0x01];
    for sample in samples(&mut Any::new(1, Fill::Full)) {
        let newer = [&sample.bytes[..], &strange].concat();
        let error = (sample.again)(&newer.into()).unwrap_err();
        assert!(matches!(error, CodecError::Unread { unread: 3, .. }), "{error}");
    }
    // Inside of a message inside of a message: a Set with the strange field.
    let set = [&[0x0a, 1, b'k', 0x12, 1, b'1'][..], &strange].concat();
    let command = [&[0x0a, set.len() as u8][..], &set].concat();
    let envelope = [&[FORMAT, 0x3a, command.len() as u8][..], &command].concat();
    let error = decode_envelope(&envelope.into()).unwrap_err();
    assert_eq!(error.to_string(), "Envelope: 3 bytes are of no field known here");
}

#[test]
fn a_missing_field_is_named() {
    let missing = |error: CodecError| error.to_string();
    let envelope = encode(&record_form::Envelope::default());
    assert_eq!(
        missing(decode_envelope(&envelope).unwrap_err()),
        "Envelope.command is missing or of an unknown kind"
    );
    let empty = record_form::Request {
        command: Some(state::Command { command: None }),
        ..Default::default()
    };
    assert_eq!(
        missing(decode_forwarded(&encode(&empty)).unwrap_err()),
        "Command.command is missing or of an unknown kind"
    );
    let reply = encode(&state::Reply::default());
    assert_eq!(
        missing(decode_reply(&reply).unwrap_err()),
        "Reply.reply is missing or of an unknown kind"
    );
    let entry = state::KeyEntry { key: "k".into(), row: None };
    let record =
        record_form::StateRecord { record: Some(record_form::state_record::Record::Key(entry)) };
    assert_eq!(
        missing(decode_state_record(&encode(&record)).unwrap_err()),
        "KeyEntry.row is missing or of an unknown kind"
    );
    for bytes in [encode(&state::Question::default()), encode(&state::Answer::default())] {
        assert!(decode_question(&bytes).is_err() && decode_answer(&bytes).is_err());
    }
}

#[test]
fn lengths_and_numbers_are_checked() {
    let mut event = state::Event::from(&Any::new(1, Fill::Full).event());
    event.chain = event.chain.slice(..31);
    assert_eq!(
        decode_event(&encode(&event)).unwrap_err().to_string(),
        "Event.chain: 31 bytes instead of 32"
    );
    event = state::Event::from(&Any::new(1, Fill::Full).event());
    for strange in [0, Action::ALL.len() as i32 + 1, -1] {
        event.action = strange;
        assert_eq!(
            decode_event(&encode(&event)).unwrap_err().to_string(),
            format!("Event.action: {strange} names nothing known")
        );
    }
    let refusal = state::Refusal { code: 5, message: "m".into() };
    let reply = state::Reply { reply: Some(state::reply::Reply::Refused(refusal)) };
    assert_eq!(
        decode_reply(&encode(&reply)).unwrap_err().to_string(),
        "Refusal.code: 5 names nothing known"
    );
    let envelope = record_form::Envelope {
        idempotency: Some(record_form::Idempotency { key: "k".into(), digest: Bytes::new() }),
        ..Default::default()
    };
    assert_eq!(
        decode_envelope(&encode(&envelope)).unwrap_err().to_string(),
        "Idempotency.digest: 0 bytes instead of 32"
    );
}

#[test]
fn a_tag_that_occurs_twice_is_refused() {
    let tag = |value: &str| state::Tag { name: "n".into(), value: value.into() };
    let next = state::ClaimNext { tags: vec![tag("1"), tag("2")], ..Default::default() };
    let command = state::Command { command: Some(state::command::Command::ClaimNext(next)) };
    let error = Command::try_from(command).unwrap_err();
    assert_eq!(error.to_string(), "ClaimNext.tags: 'n' occurs twice");
}

#[test]
fn text_that_is_not_utf_8_is_refused_and_the_field_is_named() {
    let set = crate::machine::command::Set {
        key: "abc".into(),
        value: Json::null(),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    };
    let mut any = Any::new(1, Fill::Bare);
    let mut bytes = encode_envelope(&any.envelope(Command::Set(set))).to_vec();
    let at = bytes.windows(3).position(|three| three == b"abc").unwrap();
    bytes[at] = 0xff;
    let error = decode_envelope(&bytes.into()).unwrap_err();
    let CodecError::Malformed { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().contains("Set.key"), "{source}");
}

#[test]
fn a_failed_run_is_tried_again_where_nothing_is_said() {
    let fail = state::Fail { run_id: "r".into(), error: "e".into(), ..Default::default() };
    let command = state::Command { command: Some(state::command::Command::Fail(fail)) };
    let bytes = command.encode_to_vec();
    let read = Command::try_from(state::Command::decode(&bytes[..]).unwrap()).unwrap();
    assert!(matches!(read, Command::Fail(fail) if fail.retry));
}
