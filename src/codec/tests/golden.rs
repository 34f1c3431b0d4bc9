//! Golden bytes. Logs and snapshots of this form exist. If a test here fails, the form
//! has changed, and [`FORMAT`] must be raised with it.

use super::*;
use crate::machine::command::*;
use crate::machine::event::{Action, Chain};
use crate::machine::meta::{Anchor, Meta};
use crate::machine::page::{Page, Scan};
use crate::machine::reply::{Claimed, Refusal, RefusalCode};
use crate::machine::row::{ClaimRow, KeyRow, OnLapse, RunRow};
use crate::machine::status::Status;
use crate::machine::{ClusterMs, Json, Revision, Row, WallMs, hex};
use crate::proto::state;

fn same(bytes: Bytes, golden: &str) {
    assert_eq!(hex::encode(&bytes), golden.replace([' ', '\n'], ""));
}

fn set() -> Command {
    Command::Set(Set {
        key: "k".into(),
        value: Json::new("[1.0]"),
        ttl_ms: Some(1500),
        agent_id: Some("a".into()),
        if_revision: Some(Revision::ZERO),
        fence: Some(Fence { resource_id: "r".into(), token: Revision(300) }),
    })
}

#[test]
fn an_envelope() {
    let envelope = Envelope {
        origin: Some(Origin { session: 0x0102030405060708, sequence: 7, lowest: 5 }),
        idempotency: Some(Idempotency { key: "i".into(), digest: [0xab; 32] }),
        actor: Some("w".into()),
        random: 9,
        wall: WallMs(1_700_000_000_000),
        clock: ClusterMs(1_700_000_000_001),
        limits: StateLimits { bytes_max: Some(8), ..StateLimits::default() },
        rules: Rules::Whole,
        command: set(),
    };
    same(
        encode_envelope(&envelope),
        "010a0d0908070605040302011007180512250a01691220ababababababababababababab \
         ababababababababababababababababababab1a01772109000000000000002880d095ff \
         bc313081d095ffbc313a1c0a1a0a016b12055b312e305d18dc0b220161280032060a0172 \
         10ac024008",
    );
}

#[test]
fn a_request_that_sets_nothing_more_than_it_must() {
    let command = Command::Claim(Claim {
        run_id: "wf-1".into(),
        agent_id: "w".into(),
        claim_ttl_ms: 300_000,
    });
    let request = ForwardedRequest {
        origin: None,
        idempotency: None,
        actor: None,
        random: 0,
        attempt: false,
        command,
    };
    same(encode_forwarded(&request), "012a0f2a0d0a0477662d3112017718e0a712");
    let request = ForwardedRequest {
        origin: None,
        idempotency: None,
        actor: None,
        random: 0,
        attempt: false,
        command: Command::Reset,
    };
    same(encode_forwarded(&request), "012a03920100");
}

#[test]
fn replies() {
    let claimed = Reply::Claimed(Claimed {
        claimed: true,
        run_id: Some("wf-1".into()),
        agent_id: Some("w".into()),
        reason: None,
        claim_token: Some(Revision(12)),
        claim_expires_at: Some(ClusterMs(1000)),
        retry_at: None,
        searched: None,
        has_prerequisites: false,
        further: Vec::new(),
    });
    same(encode_reply(&claimed), "0132100801120477662d311a0177280c30e807");
    let refused = Refusal { code: RefusalCode::NotFound, message: "no".into() };
    same(encode_reply(&Reply::Refused(refused)), "010a06080212026e6f");
}

#[test]
fn an_event() {
    let event = Event {
        revision: Revision(1),
        at: WallMs(2),
        actor: None,
        action: Action::WorkflowClaim,
        subject: "workflow:wf-1".into(),
        new: Some(Json::new("{}")),
        previous: None,
        chain: Chain([0xcd; 32]),
    };
    same(
        encode_event(&event),
        "010801100220052a0d776f726b666c6f773a77662d3132027b7d4220cdcdcdcdcdcdcdcd \
         cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
    );
}

#[test]
fn rows() {
    let meta = Meta {
        revision: Revision(3),
        chain: Chain([1; 32]),
        clock: ClusterMs(4),
        wall: WallMs(5),
        anchor: Anchor { revision: Revision(2), chain: Chain([2; 32]) },
        sets: 6,
        state_bytes: 7,
        ..Meta::default()
    };
    same(
        encode_state_record(&StateRecord::Meta(meta)),
        "010a50080312200101010101010101010101010101010101010101010101010101010101 \
         010101180420052802322002020202020202020202020202020202020202020202020202 \
         0202020202020238064007",
    );
    let key = KeyRow { value: Json::null(), revision: Revision(8), expires_at: None };
    same(
        encode_state_record(&StateRecord::Row(Row::Key("".into(), key))),
        "01120a12080a046e756c6c1008",
    );
    let run = RunRow {
        run_id: "wf-1".into(),
        name: "n".into(),
        status: Status::Running,
        tags: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
        input: Some(Json::new("1")),
        priority: -1,
        parent_run_id: Some("wf-0".into()),
        created_revision: Revision(1),
        revision: Revision(2),
        created_at: WallMs(3),
        updated_at: WallMs(4),
        last_step: 5,
        attempts: 1,
        max_attempts: 2,
        ready_at: Some(ClusterMs(6)),
        agent_id: Some("w".into()),
        claim: Some(ClaimRow {
            token: Revision(2),
            ttl_ms: 7,
            expires_at: ClusterMs(8),
            on_lapse: OnLapse::TakeOver,
        }),
        result: Some(Json::new("2")),
        error: Some("e".into()),
        promoted: false,
        depth: 0,
        ..Default::default()
    };
    same(
        encode_state_record(&StateRecord::Row(Row::Run(Box::new(run)))),
        "01224b0a0477662d3112016e180322060a016112013122060a01621201322a013130013a \
         0477662d3040014802500358046005680170027806820101778a01060802100718089201 \
         01329a010165",
    );
}

#[test]
fn a_question_and_its_answer() {
    let scan = Scan { prefix: "p".into(), after: Some("pa".into()) };
    same(
        encode_question(&Question::Keys { scan, page: Page::of_rows(200) }),
        "01120a0a01701202706118c801",
    );
    let key = KeyRow { value: Json::null(), revision: Revision(8), expires_at: Some(ClusterMs(9)) };
    same(
        encode_answer(&Answer::Keys { rows: vec![("pb".into(), key)], next: Some("pb".into()) }),
        "0112180a100a027062120a0a046e756c6c1008180910011a027062",
    );
}

#[test]
fn a_digest() {
    same(
        Bytes::copy_from_slice(&digest(&set())),
        "f891c261ec7b6221fe0884e62bf9afdba6b25d0c39c3cc15688cbe1bfdeea03a",
    );
}

#[test]
fn numbers_of_actions_follow_their_names() {
    for (at, action) in Action::ALL.iter().enumerate() {
        let form = crate::codec::event::action(*action);
        assert_eq!(form as usize, at + 1, "{action:?}");
        let name = format!("ACTION_{}", action.as_str().to_uppercase());
        assert_eq!(form.as_str_name(), name);
    }
}

#[test]
fn numbers_of_statuses_follow_their_names() {
    use Status::*;
    for (at, status) in [Created, Claimed, Running, Done, Failed, Cancelled].iter().enumerate() {
        let form: state::RunStatus = crate::codec::row::status(*status);
        assert_eq!(form as usize, at + 1, "{status:?}");
        assert_eq!(form.as_str_name(), format!("RUN_STATUS_{}", status.as_str().to_uppercase()));
    }
}
