//! When schedules fire: the times that a cron expression gives in a time zone, and those
//! of an interval. The rules do not compute them, because the rules of time zones come
//! with the program and differ between its versions.
//!
//! Cron expressions mean what they mean to Vixie's cron, also where a time zone changes
//! its clocks. An expression for one time of day fires once a day: right after the gap if
//! its time is skipped, and the first time if it comes twice. Any other fires whenever one
//! of its times comes.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::machine::Text;
use crate::machine::timetable::{FiringMs, Timetable};

/// The time zone of a cron expression that names none.
pub const TIME_ZONE_DEFAULT: &str = "UTC";

/// How many firings are counted that nobody has carried out: a week of one a minute.
/// Beyond that, the number says "at least".
const MISSED_MAX: u64 = 10_000;

const DAY_MS: u64 = 24 * 3_600_000;

/// Why there are no firings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("timezone '{name}' is not known; it takes a name such as 'Europe/Berlin'")]
    TimeZone { name: Text },
    #[error("cron '{expression}' is no expression of five fields: {reason}")]
    Expression { expression: Text, reason: String },
    #[error("cron '{expression}' gives no time in the future")]
    Never { expression: Text },
}

/// What follows a firing that is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowingFiring {
    /// The first one after the present.
    pub next_at: Option<FiringMs>,
    /// How many lie between the one that is due and that one.
    pub missed: u64,
}

/// The first firing after a moment.
///
/// # Errors
/// See [`CronError`].
pub fn next_after(timetable: &Timetable, after: FiringMs) -> Result<FiringMs, CronError> {
    match timetable {
        Timetable::Every { ms } => Ok(after.plus(*ms)),
        Timetable::Cron { expression, time_zone } => {
            CronTimes::new(expression, time_zone)?.next_after(after)
        }
    }
}

/// What follows the firing at `due_at`, at the present.
///
/// # Errors
/// See [`CronError`].
pub fn following(
    timetable: &Timetable,
    due_at: FiringMs,
    present: FiringMs,
) -> Result<FollowingFiring, CronError> {
    match timetable {
        Timetable::Every { ms } => {
            let missed = present.0.saturating_sub(due_at.0) / (*ms).max(1);
            let next_at = Some(due_at.plus(missed.saturating_add(1).saturating_mul(*ms)));
            Ok(FollowingFiring { next_at, missed })
        }
        Timetable::Cron { expression, time_zone } => {
            let times = CronTimes::new(expression, time_zone)?;
            let (mut next, mut missed) = (times.next_after(due_at)?, 0);
            while next <= present && missed < MISSED_MAX {
                missed += 1;
                next = times.next_after(next)?;
            }
            if next <= present {
                next = times.next_after(present)?;
            }
            Ok(FollowingFiring { next_at: Some(next), missed })
        }
    }
}

/// A cron expression in a time zone.
struct CronTimes {
    expression: Text,
    cron: Cron,
    time_zone: Tz,
}

impl CronTimes {
    fn new(expression: &Text, time_zone: &Text) -> Result<CronTimes, CronError> {
        let unknown = |_| CronError::TimeZone { name: time_zone.clone() };
        let time_zone = Tz::from_str(time_zone).map_err(unknown)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| CronError::Expression {
            expression: expression.clone(),
            reason: error.to_string(),
        })?;
        Ok(CronTimes { expression: expression.clone(), cron, time_zone })
    }

    fn next_after(&self, after: FiringMs) -> Result<FiringMs, CronError> {
        let never = || CronError::Never { expression: self.expression.clone() };
        let find = |from: FiringMs, inclusive| {
            let utc = DateTime::<Utc>::from_timestamp_millis(i64::try_from(from.0).ok()?)?;
            let there = utc.with_timezone(&self.time_zone);
            self.cron.find_next_occurrence(&there, inclusive).ok()
        };
        // The library gives up at a gap of more than two hours. There was one: Samoa went
        // over the date line and skipped a day.
        let next = find(after, false).or_else(|| find(after.plus(DAY_MS), true));
        let next = next.and_then(|next| u64::try_from(next.timestamp_millis()).ok());
        let next = next.ok_or_else(never)?;
        // Whoever goes from one to the next must get somewhere.
        Some(FiringMs(next)).filter(|next| *next > after).ok_or_else(never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> FiringMs {
        let at = DateTime::parse_from_rfc3339(text).unwrap_or_else(|_| panic!("{text}"));
        FiringMs(at.timestamp_millis() as u64)
    }

    fn cron(expression: &str, time_zone: &str) -> Timetable {
        Timetable::Cron { expression: expression.into(), time_zone: time_zone.into() }
    }

    /// The firings after a moment, in UTC.
    fn firings(timetable: &Timetable, after: &str, count: usize) -> Vec<String> {
        let next = |at: &FiringMs| next_after(timetable, *at).ok();
        let firings = std::iter::successors(next(&at(after)), next).take(count);
        let utc = |at: FiringMs| DateTime::<Utc>::from_timestamp_millis(at.0 as i64).unwrap();
        firings.map(|at| utc(at).format("%m-%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn expressions_have_five_fields() {
        let daily = firings(&cron("30 9 * * *", "UTC"), "2026-03-01T09:30:00Z", 2);
        assert_eq!(daily, ["03-02T09:30", "03-03T09:30"]);
        let names = firings(&cron("0 12 * JAN,JUL MON-FRI", "UTC"), "2026-03-01T00:00:00Z", 1);
        assert_eq!(names, ["07-01T12:00"]);
        assert_eq!(firings(&cron("@daily", "UTC"), "2026-03-01T09:30:00Z", 1), ["03-02T00:00"]);
        // As with Vixie's cron, one of two restricted days is enough.
        let days = firings(&cron("0 0 13 * FRI", "UTC"), "2026-03-08T00:00:00Z", 3);
        assert_eq!(days, ["03-13T00:00", "03-20T00:00", "03-27T00:00"]);
        for wrong in ["", "* * * *", "0 * * * * *", "60 * * * *", "x * * * *", "*/0 * * * *"] {
            let error = next_after(&cron(wrong, "UTC"), FiringMs(0)).unwrap_err();
            assert!(matches!(error, CronError::Expression { .. }), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_time_of_day_that_is_skipped_fires_right_after_the_gap() {
        // On 29 March 2026, 02:00 in Berlin is followed by 03:00, which is 01:00 in UTC.
        let fixed = cron("30 2 * * *", "Europe/Berlin");
        let firings_of_fixed = firings(&fixed, "2026-03-27T12:00:00Z", 3);
        assert_eq!(firings_of_fixed, ["03-28T01:30", "03-29T01:00", "03-30T00:30"]);
        let half_hours = cron("*/30 * * * *", "Europe/Berlin");
        let even = firings(&half_hours, "2026-03-29T00:20:00Z", 3);
        assert_eq!(even, ["03-29T00:30", "03-29T01:00", "03-29T01:30"]);
    }

    #[test]
    fn a_time_of_day_that_comes_twice_fires_once() {
        // On 25 October 2026, 03:00 in Berlin is followed by 02:00, which is 01:00 in UTC.
        let fixed = cron("30 2 * * *", "Europe/Berlin");
        let firings_of_fixed = firings(&fixed, "2026-10-24T12:00:00Z", 2);
        assert_eq!(firings_of_fixed, ["10-25T00:30", "10-26T01:30"]);
        let half_hours = cron("*/30 * * * *", "Europe/Berlin");
        let even = firings(&half_hours, "2026-10-25T00:20:00Z", 4);
        assert_eq!(even, ["10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]);
    }

    #[test]
    fn firings_rise_through_two_years_in_every_kind_of_time_zone() {
        // Half an hour of summer time, a change at midnight, and a day that was skipped.
        let zones = ["Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Asia/Kathmandu"];
        for (zone, expression) in zones.into_iter().flat_map(|zone| {
            ["15 * * * *", "0 0 * * *", "45 1 * * *", "0 */6 * * *"].map(|cron| (zone, cron))
        }) {
            let (timetable, mut last) = (cron(expression, zone), at("2011-01-01T00:00:00Z"));
            while last < at("2013-01-01T00:00:00Z") {
                let next = next_after(&timetable, last);
                let next = next.unwrap_or_else(|error| panic!("{zone} {expression}: {error}"));
                let apart_ms = next.0 - last.0;
                assert!(apart_ms <= 49 * 3_600_000, "{zone} {expression}: {last:?} {next:?}");
                last = next;
            }
        }
    }

    #[test]
    fn what_has_passed_unnoticed_is_counted() {
        let hourly = cron("0 * * * *", "UTC");
        let due = at("2026-03-01T10:00:00Z");
        for (present, missed, next) in [
            ("2026-03-01T10:00:00Z", 0, "2026-03-01T11:00:00Z"),
            ("2026-03-01T10:59:59Z", 0, "2026-03-01T11:00:00Z"),
            ("2026-03-01T11:00:00Z", 1, "2026-03-01T12:00:00Z"),
            ("2026-03-02T10:30:00Z", 24, "2026-03-02T11:00:00Z"),
            ("2036-03-01T10:30:00Z", MISSED_MAX, "2036-03-01T11:00:00Z"),
        ] {
            let found = following(&hourly, due, at(present));
            let expected = FollowingFiring { next_at: Some(at(next)), missed };
            assert_eq!(found, Ok(expected), "{present}");
        }
        let every = Timetable::Every { ms: 60_000 };
        for (present, missed, next) in
            [(1_000, 0, 61_000), (60_999, 0, 61_000), (61_000, 1, 121_000)]
        {
            let found = following(&every, FiringMs(1_000), FiringMs(present));
            let next_at = Some(FiringMs(next));
            assert_eq!(found, Ok(FollowingFiring { next_at, missed }), "{present}");
        }
        let last = following(&every, FiringMs(0), FiringMs(u64::MAX)).unwrap().next_at;
        assert_eq!(last, Some(FiringMs(i64::MAX as u64)), "databases hold no later time");
    }

    #[test]
    fn what_cannot_be_computed_is_said() {
        let unknown = next_after(&cron("0 0 * * *", "Mars/Olympus"), FiringMs(0)).unwrap_err();
        assert!(unknown.to_string().contains("Mars/Olympus"), "{unknown}");
        let begun = std::time::Instant::now();
        let never = next_after(&cron("0 0 30 2 *", "UTC"), FiringMs(0)).unwrap_err();
        assert_eq!(never, CronError::Never { expression: "0 0 30 2 *".into() });
        eprintln!("a time that never comes took {:?}", begun.elapsed());
    }
}
