//! Imports: a store that is being filled with an export.

use async_trait::async_trait;

use super::parts::Part;
use crate::machine::Revision;
use crate::store::error::StoreError;

/// A store that is being filled. If it is dropped before [`StoreImport::finish`],
/// the target stays as it was.
#[async_trait]
pub trait StoreImport: Send {
    /// Takes parts, in the order of [`super::Export::parts`].
    ///
    /// # Errors
    /// The target cannot take them. Nothing of the import will be seen.
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError>;

    /// Makes everything that was taken the target's state. It is whole and
    /// durable when this returns.
    ///
    /// # Errors
    /// The error says whether nothing has happened or whether the outcome is
    /// unknown. The import never happens in part.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// The target of an import already holds a state, and nobody asked to replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not empty: it holds {rows} rows at revision {found}{}", self.warning())]
pub struct NotEmpty {
    /// The revision of the state in the target.
    pub found: Revision,
    /// The number of its rows, including remembered requests.
    pub rows: u64,
    /// The revision of the state that was to be imported.
    pub incoming: Revision,
}

impl NotEmpty {
    /// Tokens above the incoming revision would be handed out a second time.
    fn warning(&self) -> String {
        if self.found <= self.incoming {
            return String::new();
        }
        format!(
            ", which is higher than the revision to import ({}): if it is replaced, its fencing \
             tokens would fall, and a holder of an old token could pass for the new holder",
            self.incoming
        )
    }
}
