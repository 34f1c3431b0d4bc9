//! The calls of this node that another request may cancel. The two requests travel on
//! connections of their own, so a cancellation may come before its call, while the
//! call is under way, or when it has just been answered: in each case the caller has
//! nothing in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::recent::RecentTable;
use super::undelivered::GrantDelivered;
use crate::store::cluster::{CallId, CancellationListener};

/// For how long a cancellation waits for its call, and for how long an answer may
/// still be on its way to the client. Only delays on the network lie between the two
/// requests, so some seconds are plenty.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// How many cancellations may wait for their calls. Nearly all come for calls that
/// have just ended, and wait in vain.
const EARLY_MAX: usize = 1_000;

/// How many calls that were granted something are remembered after their answers.
const ANSWERED_MAX: usize = 10_000;

/// All such calls.
#[derive(Default)]
pub(super) struct CancellableCalls(Mutex<CancellableShared>);

struct CancellableShared {
    under_way: BTreeMap<CallId, CallUnderway>,
    /// Calls that were granted something and then answered.
    answered: RecentTable<CallId, GrantDelivered>,
    /// Cancellations whose calls have not come yet.
    early: RecentTable<CallId, ()>,
    /// How many calls there have been.
    calls: u64,
}

struct CallUnderway {
    /// Tells this call from another one that the client gave the same id.
    number: u64,
    token: CancellationToken,
    grant: Option<GrantDelivered>,
}

/// A call that another request may cancel. It is under way until this is dropped, and
/// what it was granted is given back if it is cancelled a moment later.
pub struct CancellableCall {
    calls: Arc<CancellableCalls>,
    id: CallId,
    number: u64,
    token: CancellationToken,
}

impl Default for CancellableShared {
    fn default() -> Self {
        CancellableShared {
            under_way: BTreeMap::new(),
            answered: RecentTable::new(KEPT_FOR, ANSWERED_MAX),
            early: RecentTable::new(KEPT_FOR, EARLY_MAX),
            calls: 0,
        }
    }
}

impl CancellableCalls {
    /// Begins the call `id`, which is cancelled already if its cancellation came first.
    pub(super) fn begin(self: &Arc<Self>, id: CallId) -> CancellableCall {
        let token = CancellationToken::new();
        let mut shared = self.lock();
        shared.calls += 1;
        let number = shared.calls;
        if shared.early.take(&id, Instant::now()).is_some() {
            token.cancel();
        } else {
            let call = CallUnderway { number, token: token.clone(), grant: None };
            shared.under_way.insert(id.clone(), call);
        }
        drop(shared);
        CancellableCall { calls: self.clone(), id, number, token }
    }

    /// Cancels the call `id`. Returns false if this node does not have it; then it is
    /// cancelled if it comes within the next seconds.
    pub(super) fn cancel(&self, id: &CallId) -> bool {
        let now = Instant::now();
        let mut shared = self.lock();
        let grant = if let Some(call) = shared.under_way.remove(id) {
            // Under the lock, so that a grant is either seen here or sees this.
            call.token.cancel();
            call.grant
        } else if let Some(grant) = shared.answered.take(id, now) {
            Some(grant)
        } else {
            shared.early.put(id.clone(), (), now);
            return false;
        };
        drop(shared);
        if let Some(grant) = grant {
            grant.give_back();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, CancellableShared> {
        // Each table is changed by single calls, so a panic cannot leave one half
        // changed, and no table relies on another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancellationListener for CancellableCalls {
    fn cancelled(&self, call: &CallId) {
        self.cancel(call);
    }
}

impl CancellableCall {
    /// Ends once the call is cancelled.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Notes what the call was granted, which goes back at once if it is cancelled.
    pub(super) fn granted(&self, grant: GrantDelivered) {
        let mut shared = self.calls.lock();
        if self.token.is_cancelled() {
            drop(shared);
            return grant.give_back();
        }
        let number = self.number;
        if let Some(call) = shared.under_way.get_mut(&self.id).filter(|c| c.number == number) {
            call.grant = Some(grant);
        }
    }
}

impl Drop for CancellableCall {
    fn drop(&mut self) {
        let mut shared = self.calls.lock();
        if shared.under_way.get(&self.id).is_none_or(|call| call.number != self.number) {
            return;
        }
        let call = shared.under_way.remove(&self.id);
        if let Some(grant) = call.and_then(|call| call.grant) {
            shared.answered.put(self.id.clone(), grant, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(session: &str) -> CallId {
        CallId::new(session, "7").unwrap()
    }

    #[test]
    fn a_call_is_cancelled_by_its_own_client_alone() {
        let calls = Arc::new(CancellableCalls::default());
        let (mine, other) = (calls.begin(id("a")), calls.begin(id("b")));
        assert!(!calls.cancel(&id("c")) && !mine.is_cancelled() && !other.is_cancelled());
        assert!(calls.cancel(&id("a")) && mine.is_cancelled() && !other.is_cancelled());
        drop((mine, other));
        assert!(calls.lock().under_way.is_empty(), "calls that are over are removed");
    }

    #[test]
    fn a_cancellation_that_comes_first_cancels_one_call() {
        let calls = Arc::new(CancellableCalls::default());
        assert!(!calls.cancel(&id("a")));
        assert!(!calls.begin(id("b")).is_cancelled());
        assert!(calls.begin(id("a")).is_cancelled());
        assert!(!calls.begin(id("a")).is_cancelled());
    }

    #[test]
    fn a_call_does_not_end_with_another_of_the_same_id() {
        let calls = Arc::new(CancellableCalls::default());
        let (first, second) = (calls.begin(id("a")), calls.begin(id("a")));
        drop(first);
        assert!(calls.cancel(&id("a")) && second.is_cancelled());
    }
}
