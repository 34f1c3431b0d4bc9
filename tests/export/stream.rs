//! The stream by itself: whatever is done to it, it is refused, and says where.

use mcp_state_sidecar::export::{ExportDecodeError, ExportDecoder};
use sha2::{Digest, Sha256};

use crate::state::*;

/// A small stream that still has every kind of line.
async fn small() -> Vec<u8> {
    let memory = Memory::new();
    for key in ["a", "b"] {
        submit(&memory.store, set(key, "\"é\\n\"")).await;
    }
    export(&memory.store).await
}

/// The lines with a new end that belongs to them: what somebody would send who
/// knows the format.
fn sealed(lines: &[String]) -> Vec<u8> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let events = lines.iter().filter(|line| line.starts_with("{\"event\"")).count();
    let rows = lines.len() - 1 - events;
    let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let end =
        format!("{{\"end\":{{\"rows\":{rows},\"events\":{events},\"sha256\":\"{sha256}\"}}}}\n");
    (text + &end).into_bytes()
}

/// The lines without the end.
fn lines(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

fn refused(stream: &[u8]) -> String {
    read(stream).expect_err("it was read").to_string()
}

#[tokio::test]
async fn every_changed_bit_is_seen() {
    let stream = small().await;
    read(&stream).unwrap();
    for at in 0..stream.len() {
        for bit in 0..8 {
            let mut changed = stream.clone();
            changed[at] ^= 1 << bit;
            let read = read(&changed);
            assert!(read.is_err(), "bit {bit} of byte {at}: {}", char::from(stream[at]));
        }
    }
}

#[tokio::test]
async fn every_missing_end_is_seen() {
    let stream = export(&Memory::filled().await.store).await;
    for (at, _) in stream.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        // Before the line break, after it, and in the middle of the next line.
        for cut in [at, at + 1, at + 20].into_iter().filter(|cut| *cut < stream.len()) {
            let error = read(&stream[..cut]).expect_err("cut short");
            let lines = stream[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(error, ExportDecodeError::CutShort { lines }, "at {cut}");
        }
    }
    assert_eq!(read(&[]).unwrap_err(), ExportDecodeError::NotAnExport);
    let more = [&stream[..], b"\n"].concat();
    assert!(refused(&more).ends_with("it goes on after its end"));
    assert!(refused(&[&stream[..], b"{"].concat()).ends_with("it goes on after its end"));
    assert!(refused(&stream.repeat(2)).ends_with("it goes on after its end"));
}

#[tokio::test]
async fn what_is_no_export_is_told_from_a_newer_one() {
    for other in ["{}\n", "hello\n", "{\"format\":\"other\",\"version\":1}\n", "\n", "x"] {
        assert_eq!(read(other.as_bytes()).unwrap_err(), ExportDecodeError::NotAnExport, "{other}");
    }
    let mut newer = lines(&small().await);
    newer[0] = newer[0].replace("\"version\":1,", "\"version\":2,\"how\":{\"new\":[]},");
    let line = refused(&sealed(&newer));
    assert_eq!(line, "version 2 is newer than 1, the newest known here");
    newer[0] = newer[0].replace("\"version\":2", "\"version\":0");
    assert!(refused(&sealed(&newer)).contains("never written"));
}

/// With the checksum made good, the lines themselves are looked at.
#[tokio::test]
async fn what_does_not_hang_together_is_refused_with_its_line() {
    let good = lines(&small().await);
    assert_eq!(good.len(), 5, "first line, two rows, two events: {good:?}");
    read(&sealed(&good)).unwrap();
    let changed = |line: usize, from: &str, to: &str| {
        let mut lines = good.clone();
        assert!(lines[line].contains(from), "{} lacks {from}", lines[line]);
        lines[line] = lines[line].replacen(from, to, 1);
        refused(&sealed(&lines))
    };
    for (line, from, to, why) in [
        (0, "\"sets\":2", "\"sets\":2,\"more\":1", "line 1: unknown field `more`"),
        (0, ",\"sets\":2", "", "line 1: missing field `sets`"),
        (0, "\"revision\":2", "\"revision\":3", "history ends at revision 2"),
        (0, "\"revision\":2", "\"revision\":1", "line 3: revision 2 lies after the state's (1)"),
        (
            0,
            "\"anchor_revision\":0",
            "\"anchor_revision\":1",
            "line 4: event 1 comes after event 1",
        ),
        (0, "\"anchor_revision\":0", "\"anchor_revision\":9", "line 1: the anchor (9) lies after"),
        (0, "\"anchor_chain\":\"0", "\"anchor_chain\":\"1", "line 1: a chain value before"),
        (0, "\"anchor_chain\":\"0", "\"anchor_chain\":\"", "line 1: anchor_chain: takes 64"),
        (1, "\"key\"", "\"kee\"", "line 2: unknown variant `kee`"),
        (1, "\"revision\"", "\"version\"", "line 2: unknown field `version`"),
        (1, "\"revision\":1", "\"revision\":1.5", "line 2: invalid type"),
        (1, "\"revision\":1", "\"revision\":1,\"revision\":1", "line 2: duplicate field"),
        (1, "}}", "}} {}", "line 2: trailing characters"),
        (1, "\"\\\"é", "\"é", "line 2: value: the text is not one JSON value"),
        (3, "\"revision\":1", "\"revision\":2", "line 4: event 2 comes after event 0"),
        (3, "\\\"é", "\\\"e", "line 4: the chain breaks at event 1"),
        (3, "state_set", "state_sat", "line 4: action: got \"state_sat\""),
        (3, "\"at_ms\":1", "\"at_ms\":2", "line 4: the chain breaks at event 1"),
        (4, "\"chain\":\"", "\"chain\":\"0", "line 5: chain: takes 64"),
    ] {
        let line = changed(line, from, to);
        assert!(line.contains(why), "{from} to {to}: {line}");
    }
    let without = |gone: usize| {
        let mut lines = good.clone();
        lines.remove(gone);
        refused(&sealed(&lines))
    };
    assert!(without(3).contains("line 4: event 2 comes after event 0"));
    assert!(without(4).contains("the history ends at revision 1"));
    let mut order = good.clone();
    order.swap(2, 3);
    assert!(refused(&sealed(&order)).contains("line 4: a row after the events"));
    let mut twice = good.clone();
    twice.push(good[4].clone());
    assert!(refused(&sealed(&twice)).contains("line 6: an event after the state's revision (2)"));
}

#[tokio::test]
async fn pieces_of_any_size_read_alike() {
    let stream = small().await;
    for size in [1, 2, 3, 100, stream.len()] {
        let (mut reader, mut parts) = (ExportDecoder::new(), Vec::new());
        for piece in stream.chunks(size) {
            reader.feed(piece, &mut parts).unwrap();
        }
        let (_, tally) = reader.finish().unwrap();
        assert_eq!((tally.keys, tally.events, parts.len()), (2, 2, 4), "{size}");
    }
}
