//! The size of a state that a program before this one has left: it did not write
//! down how large its rows are, so they are counted once, when it is opened.

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::Instant;

use super::RedisStore;
use super::fetch::{Fetch, Fetched};
use super::link::{Commit, Committed};
use crate::machine::Meta;
use crate::store::transfer::Part;
use crate::store::{StoreError, row_record};

/// Counts that others' writes make worthless, after which opening gives up.
const TRIES: usize = 20;

/// For the first answer of a reading.
const READ_WITHIN: Duration = Duration::from_secs(30);

impl RedisStore {
    /// Writes down how large the state is, where `found` does not say so.
    ///
    /// # Errors
    /// It cannot be read or written; nothing was changed.
    pub(super) async fn count(&self, found: &Meta) -> Result<(), StoreError> {
        if found.state_bytes > 0 || found.revision.0 == 0 {
            return Ok(());
        }
        for number in 0..TRIES {
            let export = self.read_out(Instant::now() + READ_WITHIN).await?;
            let counted = export.parts.try_fold(0, |bytes, parts| async move {
                let rows = parts.iter().map(|part| match part {
                    Part::Row(row) => row_record::bytes(row),
                    Part::Event(_) => 0,
                });
                Ok(bytes + rows.sum::<u64>())
            });
            let state_bytes = counted.await?;
            if state_bytes == 0 || self.write_down(&export.meta, state_bytes, number).await? {
                return Ok(());
            }
        }
        let why = "others wrote again and again while the state was counted";
        Err(StoreError::Unavailable(why.into()))
    }

    /// Whether nothing was written since `counted`, and the size is there now.
    async fn write_down(
        &self,
        counted: &Meta,
        state_bytes: u64,
        number: usize,
    ) -> Result<bool, StoreError> {
        let found =
            self.link.read(&Fetch::default(), None).await.map_err(|fault| fault.unsent())?;
        let Fetched { version, last, meta, .. } = found;
        if meta.revision != counted.revision {
            return Ok(false);
        }
        let commit = Commit {
            version,
            last: &last,
            id: &format!("{}-count-{number}", self.link.me()),
            before: meta.revision,
            meta: &Meta { state_bytes, ..meta },
            steps: 0,
            commands: &[],
        };
        let committed = self.link.commit(&commit).await.map_err(|fault| fault.unsent())?;
        Ok(matches!(committed, Committed::Done))
    }
}
