//! What the passing of time does to a run, and how long a run waits between two
//! attempts. A run reads accordingly from that moment on; the sweep records it.

use super::describe;
use super::random::splitmix64;
use super::row::{ApprovalDecision, ApprovalRow, ClaimRow, OnLapse, RetryPolicy, RunRow};
use super::status::Status;
use super::value::{ClusterMs, Text};

/// The pause after a first failed attempt; it doubles with each further one.
const BACKOFF_MS: u64 = 1_000;

/// The longest pause. With a longer one a run would look stuck.
const BACKOFF_MS_MAX: u64 = 300_000;

/// The run as the time up to `now` has left it, if that differs from its row.
pub fn at(run: &RunRow, now: ClusterMs) -> Option<RunRow> {
    if let Some((_, end)) = run.end().filter(|(at, _)| *at <= now) {
        let error = Some(describe::end(run, end));
        return Some(RunRow { status: Status::Failed, ready_at: None, error, ..run.clone() });
    }
    if let Some(at) = run.asks_until().filter(|at| *at <= now) {
        let expired = decided(run, ApprovalDecision::default(), at);
        return Some(self::at(&expired, now).unwrap_or(expired));
    }
    let can_lapse = !run.is_over() && run.status != Status::AwaitingApproval;
    let lapsed = run.claim.as_ref().filter(|claim| can_lapse && !claim.lives_at(now))?;
    let OnLapse::Retry { pause_ms } = lapsed.on_lapse else { return None };
    Some(RunRow {
        status: Status::Created,
        ready_at: Some(lapsed.expires_at.plus(pause_ms)),
        agent_id: None,
        claim: None,
        error: Some(describe::lapse(run)),
        ..run.clone()
    })
}

/// The run after the question that it asks was decided at `now`. Its holder may be gone by
/// then, and that is no failed attempt: another agent can go on where it waited.
pub fn decided(run: &RunRow, decision: ApprovalDecision, now: ClusterMs) -> RunRow {
    let approval = run
        .approval
        .as_deref()
        .map(|approval| Box::new(ApprovalRow { decision: Some(decision), ..approval.clone() }));
    let claim = run
        .claim
        .as_ref()
        .map(|claim| ClaimRow { on_lapse: OnLapse::TakeOver, ..claim.clone() }.renewed(now));
    RunRow { status: Status::Running, approval, claim, ..run.clone() }
}

/// The claim after its holder showed at `now` that it is alive. If the run has waited for
/// a person, silence counts again from then on.
pub fn renewed(run: &RunRow, now: ClusterMs) -> Option<ClaimRow> {
    let claim = run.claim.as_ref()?.renewed(now);
    Some(match run.is_left_waiting() {
        true => ClaimRow { on_lapse: on_lapse(run, run.attempts), ..claim },
        false => claim,
    })
}

/// What happens when the claim lapses by which attempt number `attempts` begins.
pub fn on_lapse(run: &RunRow, attempts: u32) -> OnLapse {
    if attempts >= run.retry.most_lapses() {
        return OnLapse::Fail;
    }
    let pause_ms = match run.retry.backoff_ms {
        // Whoever waits for a claim to lapse has waited already, so that without
        // other instructions a crash costs no second pause.
        0 if attempts <= 1 => 0,
        0 => backoff_ms(&run.retry, &run.run_id, attempts - 1),
        _ => backoff_ms(&run.retry, &run.run_id, attempts),
    };
    OnLapse::Retry { pause_ms }
}

/// How long a run waits after the failure of its attempt number `attempts`. The pause
/// is between half of the back-off and all of it, so that runs that fail together do
/// not come back together ("equal jitter": Brooker, "Exponential Backoff And Jitter",
/// 2015). It follows from the run's id, because rules draw no random numbers.
pub fn backoff_ms(retry: &RetryPolicy, run_id: &Text, attempts: u32) -> u64 {
    let backoff = exponential_ms(retry, attempts);
    let id =
        run_id.bytes().fold(u64::from(attempts), |hash, byte| splitmix64(hash ^ u64::from(byte)));
    let half = backoff / 2;
    half + id % (backoff - half + 1)
}

/// The pause of the first rules, which is the same for all runs.
pub fn exponential_ms(retry: &RetryPolicy, attempts: u32) -> u64 {
    let or_default = |ms, default| if ms == 0 { default } else { ms };
    let first = or_default(retry.backoff_ms, BACKOFF_MS);
    let doublings = attempts.saturating_sub(1);
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let most = or_default(retry.backoff_max_ms, BACKOFF_MS_MAX.max(first));
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let retry = RetryPolicy::default();
        let pauses =
            [0, 1, 2, 3, 9, 10, 64, u32::MAX].map(|attempts| exponential_ms(&retry, attempts));
        assert_eq!(pauses, [1_000, 1_000, 2_000, 4_000, 256_000, 300_000, 300_000, 300_000]);
        let own = RetryPolicy { backoff_ms: 600_000, ..retry };
        assert_eq!(exponential_ms(&own, 5), 600_000, "a longer pause is not cut");
    }

    #[test]
    fn runs_that_fail_together_come_back_apart() {
        let retry = RetryPolicy::default();
        let pauses: std::collections::BTreeSet<u64> =
            (0..20).map(|n| backoff_ms(&retry, &format!("wf-{n:012x}").into(), 1)).collect();
        assert!(pauses.len() > 15, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (500..=1_000).contains(pause)), "{pauses:?}");
    }
}
