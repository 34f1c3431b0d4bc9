//! Which node a message is sent to next, and for how long that goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::cli::http_client::ClientError;

/// How long an answer may take. It is longer than any tool waits (55 s), and shorter than
/// clients usually wait.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// How often all nodes are tried before a message fails. Together with the pause, that is
/// long enough for a node to restart.
const ROUNDS: usize = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// The attempts to have one message answered.
pub(super) struct Attempts {
    nodes: usize,
    first: usize,
    made: usize,
    begun: Instant,
}

impl Attempts {
    /// Begins at the node `first` of `nodes`.
    pub(super) fn begin(first: usize, nodes: usize) -> Attempts {
        Attempts { nodes, first, made: 0, begun: Instant::now() }
    }

    /// The node to send the message to.
    pub(super) fn node(&self) -> usize {
        (self.first + self.made) % self.nodes
    }

    /// Begins anew after an attempt that had gone well until it broke. The next one follows
    /// after the pause of a round, so that a node that always breaks off is not called
    /// without end in a hurry.
    pub(super) fn renew(&mut self) {
        let next = (self.node() + 1) % self.nodes;
        *self = Attempts { made: self.nodes - 1, ..Attempts::begin(next, self.nodes) };
    }

    /// Decides whether there is another attempt after this error, and pauses before it. A
    /// message that may have arrived is sent again only if `may_repeat`.
    pub(super) async fn another(&mut self, error: &ClientError, may_repeat: bool) -> bool {
        let again = match error {
            ClientError::Unreachable { .. } => true,
            ClientError::Broken { .. } => may_repeat && self.begun.elapsed() < ANSWER_TIMEOUT,
            ClientError::Tls { .. }
            | ClientError::Refused { .. }
            | ClientError::NotMcp { .. }
            | ClientError::Invalid(_) => false,
        };
        self.made += 1;
        if !again || self.made >= ROUNDS * self.nodes {
            return false;
        }
        if self.made.is_multiple_of(self.nodes) {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> ClientError {
        ClientError::Broken { url: "u".to_owned(), cause: "c".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_node_is_called_in_turn_with_a_pause_after_each_round() {
        let mut attempts = Attempts::begin(1, 3);
        let begun = Instant::now();
        let mut nodes = vec![attempts.node()];
        while attempts.another(&broken(), true).await {
            nodes.push(attempts.node());
        }
        assert_eq!((nodes.len(), &nodes[..4]), (30, &[1, 2, 0, 1][..]));
        assert_eq!(begun.elapsed(), ROUND_PAUSE * 9);
        assert!(!Attempts::begin(0, 3).another(&broken(), false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_had_gone_well_does_not_count() {
        let mut attempts = Attempts::begin(1, 3);
        for _ in 0..100 {
            tokio::time::advance(ANSWER_TIMEOUT).await;
            let (node, begun) = (attempts.node(), Instant::now());
            attempts.renew();
            assert!(attempts.another(&broken(), true).await);
            assert_eq!(attempts.node(), (node + 1) % 3);
            assert_eq!(begun.elapsed(), ROUND_PAUSE);
        }
        tokio::time::advance(ANSWER_TIMEOUT).await;
        assert!(!attempts.another(&broken(), true).await, "it has failed for too long");
    }
}
