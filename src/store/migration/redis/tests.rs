//! The data of a Redis that the reference filled, as it was recorded, and data
//! that the reference did not write.

use serde_json::Value as Recorded;

use super::items::*;
use crate::machine::ClusterMs;
use crate::machine::status::Status;
use crate::store::migration::convert;

const NOW: ClusterMs = ClusterMs(1_795_356_500_000);

fn text(key: &str, value: &str) -> RedisItem {
    let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    RedisItem { key, ttl_ms: None, value: RedisValue::String(value) }
}

/// Every key that calls to the reference left, with its type and its `PTTL`.
fn recorded() -> Vec<RedisItem> {
    let recorded = include_str!("../../../../tests/recorded/redis-keys.json");
    let recorded: Recorded = serde_json::from_str(recorded).unwrap();
    let items = recorded.as_object().unwrap().iter().map(|(key, entry)| RedisItem {
        key: key.as_bytes().to_vec(),
        ttl_ms: entry["pttl"].as_u64(),
        value: match entry["type"].as_str().unwrap() {
            "string" => RedisValue::String(entry["value"].as_str().unwrap().into()),
            other => RedisValue::Other(other.into()),
        },
    });
    items.collect()
}

#[test]
fn recorded_data_is_read_completely() {
    let items = recorded();
    assert_eq!(items.len(), 12);
    let found = gather(items, NOW).unwrap();
    let names: Vec<&str> = found.keys.iter().map(|key| &*key.key).collect();
    assert_eq!(names, ["cache/long", "config/model", "flag"]);
    assert_eq!(found.keys[1].value.as_str(), "{\"name\": \"gpt\", \"temperature\": 0.7}");
    assert_eq!(found.keys[0].expires_at, Some(1_795_356_500.0 + 31_535_997.262));
    let runs: Vec<_> = found.runs.iter().map(|run| (&*run.run_id, run.status)).collect();
    assert_eq!(
        runs,
        [
            ("wf-f961d5615ffd", Status::Running),
            ("wf-de5a9c98c546", Status::Claimed),
            ("wf-31f929fb6254", Status::Created)
        ],
        "oldest first"
    );
    assert_eq!(found.runs[0].agent_id.as_deref(), Some("worker-1"));
    assert_eq!(found.runs[2].agent_id, None);
    assert_eq!(found.steps.len(), 3);
    assert_eq!(found.leases[0].expires_at, 1_826_892_416.656_2);
    assert_eq!(found.sessions[0].context.as_str(), r#"{"turn": 3, "notes": ["a", "\u00fc"]}"#);
    let state = convert(&found, NOW);
    assert_eq!(state.rows.len(), 11);
    // 3 keys, 3 creations, 2 claims, 3 steps, a lease, a session.
    assert_eq!(state.meta.revision.0, 13);
    assert_eq!(state.meta.sets, 3);
}

#[test]
fn the_order_of_a_scan_does_not_matter() {
    let mut items = recorded();
    let state = convert(&gather(items.clone(), NOW).unwrap(), NOW);
    items.reverse();
    assert_eq!(convert(&gather(items, NOW).unwrap(), NOW), state);
}

#[test]
fn keys_of_other_programs_are_ignored() {
    let others = ["kvx", "cache:1", "wf:", "wf:other:1", "wf:index2", "", "KV:a"];
    for name in others {
        assert!(!is_named(name.as_bytes()), "{name}");
    }
    let found = gather(others.map(|name| text(name, "no JSON")), NOW).unwrap();
    assert!(found.keys.is_empty() && found.runs.is_empty());
    for name in ["kv:", "kv:a:b", "wf:meta:x", "wf:step:x:1", "wf:index", "lease:", "session:"] {
        assert!(is_named(name.as_bytes()), "{name}");
    }
}

#[test]
fn runs_and_leases_prove_the_reference_and_caches_do_not() {
    let proofs = recorded().into_iter().filter(proves).count();
    assert_eq!(proofs, 5, "an index, three runs and a lease");
    assert!(recorded().iter().all(|item| may_prove(&item.key) || !proves(item)));
    for (key, value) in [
        ("kv:cart", "[1,2]"),
        ("session:web-2", "{\"user\":\"alice\"}"),
        ("wf:step:x:1", "1"),
        ("lease:a", "{\"owner\":\"a\",\"expires_at\":1}"),
        ("lease:a", "{\"holder_id\":\"a\",\"expires_at\":1,\"renewals\":3}"),
        ("lease:a", "worker-1"),
        ("wf:meta:x", "{\"name\":\"n\",\"status\":\"paused\"}"),
        ("wf:index", "1"),
    ] {
        assert!(!proves(&text(key, value)), "{key} {value}");
    }
}

#[test]
fn a_step_is_named_by_what_follows_the_last_colon() {
    let found = gather([text("wf:step:a:b:-3", "1")], NOW).unwrap();
    assert_eq!((&*found.steps[0].run_id, found.steps[0].step), ("a:b", -3));
}

#[test]
fn numbers_as_lua_writes_them_are_read() {
    let meta = r#"{"name":"n","status":"claimed","tags":{},"agent_id":"a","last_step":1e+15,
        "created_at":1795356416.5834,"updated_at":1.7953564165e+9,"run_id":"x"}"#;
    let found = gather([text("wf:meta:x", meta)], NOW).unwrap();
    assert_eq!(found.runs[0].last_step, 1_000_000_000_000_000);
    assert_eq!(found.runs[0].updated_at, 1_795_356_416.5);
}

#[test]
fn what_the_reference_does_not_write_is_refused_by_name() {
    let meta = |status: &str, last_step: &str| {
        let times = "\"created_at\":1,\"updated_at\":1";
        let rest = format!("\"status\":\"{status}\",\"last_step\":{last_step},{times}");
        text("wf:meta:x", &format!("{{\"name\":\"n\",{rest}}}"))
    };
    let other = RedisItem { value: RedisValue::Other("hash".into()), ..text("session:s", "") };
    let bytes = RedisItem { value: RedisValue::String(vec![0xff]), ..text("kv:k", "") };
    let name = RedisItem { key: b"kv:\xff".to_vec(), ..text("", "1") };
    for (item, wanted) in [
        (text("kv:k", "{'a': 1}"), "kv:k: the value is not JSON"),
        (text("lease:l", "{\"holder_id\":\"a\"}"), "lease:l: not a lease"),
        (meta("paused", "0"), "wf:meta:x: status is created"),
        (meta("done", "0.5"), "wf:meta:x: last_step is a whole number, not 0.5"),
        (text("wf:meta:x", "[]"), "wf:meta:x: not a run"),
        (text("wf:step:x", "1"), "wf:step:x: the name does not end in a step's number"),
        (text("wf:step:x:one", "1"), "wf:step:x:one: the name does not end in"),
        (text("session:s", "[1]"), "session:s: the context is a JSON object, not [1]"),
        (other, "session:s: a hash, where a string belongs"),
        (bytes, "kv:k: the value is not UTF-8"),
        (name, "kv:\u{fffd}: the name is not UTF-8"),
    ] {
        let fault = gather([item], NOW).unwrap_err().to_string();
        assert!(fault.starts_with(wanted), "{fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}
