//! The window of the history: what it finds, what it drops.

use mcp_state_sidecar::machine::filter::{ChangeFilter, HistoryFilter};
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::window::{Window, WindowLimits};

use crate::commands::*;
use crate::rng::for_each_seed;
use crate::world::World;

const ACTIONS: [Action; 4] =
    [Action::StateSet, Action::StateDelete, Action::LeaseAcquire, Action::StateExpire];

fn event(revision: u64, action: Action, subject: &str, actor: Option<&str>) -> Event {
    Event {
        revision: Revision(revision),
        at: WallMs(revision),
        actor: actor.map(Text::from),
        action,
        subject: subject.into(),
        new: Some(Json::new("1")),
        previous: None,
        chain: Chain::default(),
    }
}

#[test]
fn look_ups_agree_with_a_scan_also_after_eviction() {
    for_each_seed(|rng| {
        let mut window = Window::after(Revision(40));
        let mut all: Vec<Event> = Vec::new();
        for revision in 41..400 {
            let subject = rng.text(&["a", "ab", "b", "lease:r"]);
            let actor = rng.maybe(70, |rng| rng.text(&["x", "y"]));
            let new = event(revision, *rng.one_of(&ACTIONS), &subject, actor.as_deref());
            window.push(new.clone());
            all.push(new);
            if rng.percent(5) {
                let to = Revision(window.oldest().0 + rng.below(20));
                window.evict_to(to);
                all.retain(|event| event.revision > to);
            }
            let filter = HistoryFilter {
                subject: rng.maybe(40, |rng| rng.text(&["a", "b", "absent"])),
                action: rng.maybe(40, |rng| *rng.one_of(&ACTIONS)),
                actor: rng.maybe(40, |rng| rng.text(&["x", "z"])),
            };
            let before = rng.maybe(50, |rng| Revision(rng.below(410)));
            let limit = 1 + rng.below(6) as usize;
            let newest = all.iter().rev().filter(|event| {
                filter.admits(event) && before.is_none_or(|before| event.revision < before)
            });
            let newest: Vec<Event> = newest.take(limit).cloned().collect();
            assert_eq!(
                HistoryView::newest(&window, &filter, before, Page::of_rows(limit)),
                Ok(newest)
            );
            let name = rng.text(&["", "a", "b", "lease:r"]);
            let filter = match rng.percent(50) {
                true => ChangeFilter::Key(name),
                false => ChangeFilter::Prefix(name),
            };
            let after = *rng.one_of(&[Revision(chance_after(revision)), Revision(u64::MAX)]);
            let since = all.iter().filter(|event| event.revision > after && filter.admits(event));
            let since: Vec<Event> = since.take(limit).cloned().collect();
            assert_eq!(
                window.since(&filter, after, Page::of_rows(limit)),
                Ok(since),
                "{filter:?} {after:?}"
            );
        }
        window.evict_to(Revision(u64::MAX));
        assert_eq!((window.len(), window.bytes()), (0, 0));
        assert_eq!(window, Window::after(Revision(399)), "no index entry is left behind");
    });
}

fn chance_after(revision: u64) -> u64 {
    revision.saturating_sub(9)
}

#[test]
fn the_surplus_keeps_the_newest_within_both_limits() {
    let mut window = Window::default();
    for revision in 1..=20 {
        window.push(event(revision, Action::StateSet, "k", None));
    }
    let each = window.bytes() / 20;
    let all = Revision(u64::MAX);
    let surplus =
        |events_max, bytes_max| window.surplus(&WindowLimits { events_max, bytes_max }, all);
    assert_eq!(surplus(20, u64::MAX), Revision(0));
    assert_eq!(surplus(15, u64::MAX), Revision(5));
    assert_eq!(surplus(99, 3 * each), Revision(17));
    assert_eq!(surplus(0, 0), Revision(20));
    assert_eq!(Window::after(Revision(7)).surplus(&WindowLimits::ARCHIVED, all), Revision(7));
    let small = WindowLimits { events_max: 15, bytes_max: u64::MAX };
    assert_eq!(window.surplus(&small, Revision(3)), Revision(3));
    assert_eq!(window.surplus(&small, Revision(0)), Revision(0));
    assert!(window.exceeds(&small));
    assert!(!window.exceeds(&WindowLimits { events_max: 20, bytes_max: 20 * each }));
    assert!(window.exceeds(&WindowLimits { events_max: 20, bytes_max: 20 * each - 1 }));
}

#[test]
#[should_panic(expected = "history has a gap: 2 then 3")]
fn a_gap_is_refused() {
    let mut window = Window::default();
    window.push(event(1, Action::StateSet, "k", None));
    window.push(event(3, Action::StateSet, "k", None));
}

#[test]
fn questions_about_the_history_page_and_know_what_is_gone() {
    let mut world = World::default();
    for _ in 0..3 {
        world.run(set("k", "1"));
        world.run(set("j", "1"));
    }
    let history = |world: &World, before: Option<u64>, limit| {
        let filter = HistoryFilter { subject: Some("k".into()), ..HistoryFilter::default() };
        match world.ask(Question::History {
            filter,
            before: before.map(Revision),
            page: Page::of_rows(limit),
        }) {
            Answer::History { events, more } => {
                (events.iter().map(|event| event.revision.0).collect::<Vec<_>>(), more)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(history(&world, None, 2), (vec![5, 3], true));
    assert_eq!(history(&world, Some(3), 2), (vec![1], false));
    let changes = |world: &World, after| {
        let filter = ChangeFilter::Key("k".into());
        match world.ask(Question::Changes {
            filter,
            after: Revision(after),
            page: Page::of_rows(10),
        }) {
            Answer::Changes { events, complete, .. } => {
                (events.iter().map(|event| event.revision.0).collect::<Vec<_>>(), complete)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(changes(&world, 1), (vec![3, 5], true));
    world.run(Command::Reset);
    world.run(set("k", "2"));
    assert_eq!(changes(&world, 5), (vec![8], false), "5 to 7 are gone");
    assert_eq!(changes(&world, 7), (vec![8], true));
}
