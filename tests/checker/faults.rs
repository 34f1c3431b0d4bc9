//! Histories made by hand, each with one fault, and their sound neighbours.

use support::checker::events::{Event, Fact, History};
use support::checker::hold::{self, Hold};
use support::checker::key::{self, Key};
use support::checker::{Operation, check};

fn key_call(began: u64, ended: u64, call: key::Call, outcome: key::Outcome) -> Operation<Key> {
    Operation { client: format!("c{began}"), call, began, ended: Some((ended, outcome)) }
}

fn set(began: u64, ended: u64, value: &str, revision: u64) -> Operation<Key> {
    let call = key::Call::Set { value: value.to_owned(), if_revision: None };
    key_call(began, ended, call, key::Outcome::Written { revision })
}

fn compare(began: u64, ended: u64, value: &str, wanted: u64, revision: u64) -> Operation<Key> {
    let call = key::Call::Set { value: value.to_owned(), if_revision: Some(wanted) };
    key_call(began, ended, call, key::Outcome::Written { revision })
}

fn get(began: u64, ended: u64, read: Option<(&str, u64)>) -> Operation<Key> {
    let read = read.map(|(value, revision)| (value.to_owned(), revision));
    key_call(began, ended, key::Call::Get, key::Outcome::Read(read))
}

fn unheard<M: support::checker::search::Model>(operation: Operation<M>) -> Operation<M> {
    Operation { ended: None, ..operation }
}

fn passes<M: support::checker::search::Model>(operations: &[Operation<M>]) {
    if let Err(violation) = check("thing", operations) {
        panic!("{}", violation.0);
    }
}

fn fails<M: support::checker::search::Model>(operations: &[Operation<M>]) {
    let violation = check("thing", operations).expect_err("a fault that must be seen");
    assert!(violation.0.contains("no order of the calls"), "{}", violation.0);
}

#[test]
fn a_stale_read_is_seen() {
    passes(&[set(0, 10, "a", 1), set(5, 30, "b", 2), get(20, 40, Some(("a", 1)))]);
    fails(&[set(0, 10, "a", 1), set(11, 12, "b", 2), get(20, 40, Some(("a", 1)))]);
}

#[test]
fn a_lost_write_is_seen() {
    fails(&[set(0, 10, "a", 1), get(20, 30, None)]);
    passes(&[unheard(set(0, 10, "a", 1)), get(20, 30, None)]);
    passes(&[unheard(set(0, 10, "a", 1)), get(20, 30, None), get(40, 50, Some(("a", 7)))]);
    fails(&[unheard(set(0, 10, "a", 1)), get(20, 30, Some(("a", 7))), get(40, 50, None)]);
}

#[test]
fn a_write_that_comes_back_is_seen() {
    let (a, b) = (set(0, 10, "a", 1), set(20, 30, "b", 2));
    fails(&[a, b, get(40, 50, Some(("b", 2))), get(60, 70, Some(("a", 1)))]);
}

#[test]
fn a_value_that_nobody_wrote_is_seen() {
    fails(&[set(0, 10, "a", 1), get(20, 30, Some(("x", 1)))]);
    fails(&[set(0, 10, "a", 1), get(20, 30, Some(("a", 2)))]);
}

#[test]
fn a_compare_and_set_on_another_revision_is_seen() {
    passes(&[set(0, 10, "a", 1), compare(20, 30, "b", 1, 2)]);
    fails(&[set(0, 10, "a", 1), set(12, 14, "c", 2), compare(20, 30, "b", 1, 3)]);
    // Two that both saw the first.
    fails(&[set(0, 10, "a", 1), compare(20, 30, "b", 1, 2), compare(20, 30, "c", 1, 3)]);
}

#[test]
fn revisions_that_fall_are_seen() {
    fails(&[set(0, 10, "a", 5), set(20, 30, "b", 4)]);
}

fn hold_call(began: u64, ended: u64, call: hold::Call, outcome: hold::Outcome) -> Operation<Hold> {
    Operation { client: format!("c{began}"), call, began, ended: Some((ended, outcome)) }
}

fn take(began: u64, ended: u64, by: &str, token: u64) -> Operation<Hold> {
    taking(began, ended, by, hold::Kind::Lease, hold::Outcome::Taken { token })
}

fn taking(
    began: u64,
    ended: u64,
    by: &str,
    of: hold::Kind,
    outcome: hold::Outcome,
) -> Operation<Hold> {
    let call = hold::Call::Take { by: by.to_owned(), ttl_us: 100, of };
    hold_call(began, ended, call, outcome)
}

fn give(began: u64, ended: u64, by: &str, token: u64) -> Operation<Hold> {
    let call = hold::Call::Give { by: by.to_owned(), token };
    hold_call(began, ended, call, hold::Outcome::Done)
}

fn keep(began: u64, ended: u64, by: &str, token: u64, outcome: hold::Outcome) -> Operation<Hold> {
    let call = hold::Call::Keep { by: by.to_owned(), token, ttl_us: 100 };
    hold_call(began, ended, call, outcome)
}

#[test]
fn two_holders_at_a_time_are_seen() {
    fails(&[take(0, 10, "a", 1), take(20, 30, "b", 2)]);
    passes(&[take(0, 10, "a", 1), take(20, 130, "b", 2)]);
    passes(&[take(0, 10, "a", 1), give(12, 14, "a", 1), take(20, 30, "b", 2)]);
    fails(&[
        take(0, 10, "a", 1),
        keep(80, 90, "a", 1, hold::Outcome::Done),
        take(120, 130, "b", 2),
    ]);
}

#[test]
fn a_token_given_out_twice_is_seen() {
    fails(&[take(0, 10, "a", 1), give(12, 14, "a", 1), take(20, 30, "b", 1)]);
    fails(&[take(0, 10, "a", 5), give(12, 14, "a", 5), take(20, 30, "b", 4)]);
    passes(&[take(0, 10, "a", 5), take(20, 30, "a", 5)]);
}

#[test]
fn a_holder_refused_in_its_time_is_seen() {
    fails(&[take(0, 10, "a", 1), keep(20, 30, "a", 1, hold::Outcome::Refused)]);
    passes(&[take(0, 10, "a", 1), keep(20, 130, "a", 1, hold::Outcome::Refused)]);
}

#[test]
fn a_free_lease_that_is_refused_is_seen() {
    let again = |of| taking(500, 501, "a", of, hold::Outcome::Refused);
    fails(&[take(0, 1, "a", 1), again(hold::Kind::Lease)]);
    // The next attempt at a run may have to wait, but not before the one under way is over.
    passes(&[take(0, 1, "a", 1), again(hold::Kind::Claim)]);
    let early = taking(50, 51, "a", hold::Kind::Claim, hold::Outcome::Refused);
    fails(&[take(0, 1, "a", 1), early]);
}

#[test]
fn a_holder_that_was_replaced_and_goes_on_is_seen() {
    fails(&[
        take(0, 10, "a", 1),
        take(150, 160, "b", 2),
        keep(170, 180, "a", 1, hold::Outcome::Done),
    ]);
}

#[test]
fn a_finished_run_that_is_given_out_again_is_seen() {
    let finish = hold::Call::Finish { by: "a".to_owned(), token: 1 };
    let finished = hold_call(20, 30, finish, hold::Outcome::Done);
    fails(&[take(0, 10, "a", 1), finished, take(40, 500, "b", 2)]);
}

fn event(revision: u64, value: &str) -> Event {
    Event {
        revision,
        action: "state_set".to_owned(),
        subject: "k".to_owned(),
        agent: Some("a".to_owned()),
        value: Some(value.to_owned()),
    }
}

#[test]
fn what_the_history_does_not_bear_out_is_seen() {
    let written = |value: &str, revision| {
        let (subject, value) = ("k".to_owned(), value.to_owned());
        Fact::Written { subject, value, revision }
    };
    let history = History::new(vec![event(1, "x"), event(2, "y")]);
    history.judge(&[written("x", 1), written("y", 2)]).unwrap();
    history.judge(&[written("x", 2)]).unwrap_err();
    history.judge(&[written("z", 3)]).unwrap_err();
    history.judge(&[Fact::Absent { value: "z".to_owned() }]).unwrap();
    history.judge(&[Fact::Absent { value: "y".to_owned() }]).unwrap_err();
    let (subject, agent) = ("k".to_owned(), "a".to_owned());
    let granted = Fact::Granted { action: "lease_acquire", subject, agent, token: 2 };
    history.judge(&[granted]).unwrap_err();
    History::new(vec![event(1, "x"), event(2, "x")]).judge(&[]).unwrap_err();
}
