//! Secrets, which no log and no output shows.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Text that must not appear in any log or output.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for code that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digest of the secret, by which it is compared.
    pub(super) fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether two secrets are equal. The time that it takes reveals nothing about either.
pub fn same_secret(one: &str, other: &str) -> bool {
    digest(one).ct_eq(&digest(other)).into()
}

/// All digests have one length, so comparing them does not reveal the secret's length.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", Some(Secret::new("s3cret"))).contains("s3cret"));
    }
}
