//! Checks across settings: values that are valid alone may be wrong together. Also reads
//! the files that hold secrets.

use std::path::Path;

use super::error::ConfigError;
use super::host_port::{self, HostPort};
use super::types::{Backend, Config};
use super::{parse, settings};
use crate::access::Secret;
use crate::store::redis;

impl Config {
    /// Checks that the settings fit together.
    ///
    /// # Errors
    /// They do not; the line names the setting to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.election_min_ms <= self.heartbeat_ms {
            let got = self.election_min_ms;
            return Err(invalid("election_min_ms", &format!("got {got}")));
        }
        if self.election_max_ms <= self.election_min_ms {
            let got = self.election_max_ms;
            return Err(invalid("election_max_ms", &format!("got {got}")));
        }
        match self.state_backend {
            Backend::Sqlite | Backend::Memory => Ok(()),
            // With another backend, REDIS_URL may have been set for another program.
            Backend::Redis => match &self.redis_url {
                Some(url) if !redis::is_url(url.expose()) => {
                    Err(invalid("redis_url", "got another kind of URL"))
                }
                Some(_) | None => Ok(()),
            },
            Backend::Raft => self.check_cluster(),
        }
    }

    /// Whether callers on other machines can connect but are then refused.
    pub fn refuses_remote_callers(&self) -> bool {
        self.token.is_none()
            && self.admin_token.is_none()
            && !self.insecure
            && !host_port::is_loopback(&self.host)
    }

    fn check_cluster(&self) -> Result<(), ConfigError> {
        const NEEDED: &str = "not set, though STATE_BACKEND=raft needs it";
        if self.node_id.is_none() {
            return Err(invalid("node_id", NEEDED));
        }
        if self.members.is_empty() {
            return Err(invalid("members", NEEDED));
        }
        if self.data_dir.is_none() {
            return Err(invalid("data_dir", NEEDED));
        }
        let needs_secret = !self.members.values().all(HostPort::is_loopback);
        if needs_secret && self.cluster_secret.is_none() && !self.insecure {
            let got = "not set, though SIDECAR_MEMBERS has hosts on other machines, \
                       which are refused without it (unless SIDECAR_INSECURE=true)";
            return Err(invalid("cluster_secret", got));
        }
        Ok(())
    }

    /// Reads the secrets that the `…_FILE` settings name.
    pub(super) fn read_secret_files(&mut self) -> Result<(), ConfigError> {
        read_secret(&mut self.token, self.token_file.as_deref(), "token")?;
        read_secret(&mut self.admin_token, self.admin_token_file.as_deref(), "admin_token")?;
        read_secret(&mut self.cluster_secret, self.cluster_secret_file.as_deref(), "cluster_secret")
    }
}

fn read_secret(
    secret: &mut Option<Secret>,
    file: Option<&Path>,
    name: &str,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    assert!(secret.is_none(), "{name} is set, so {file:?} was to be overridden or refused");
    let file_setting = format!("{name}_file");
    let text = std::fs::read_to_string(file)
        .map_err(|error| invalid(&file_setting, &format!("got {file:?} ({error})")))?;
    *secret = parse::header_secret(text.trim_end_matches(['\r', '\n'])).map_err(|_| {
        let expects = settings::by_name(name).map_or("a secret", |setting| setting.expects);
        invalid(&file_setting, &format!("got {file:?}, which does not contain {expects}"))
    })?;
    Ok(())
}

fn invalid(name: &str, got: &str) -> ConfigError {
    let expects = settings::by_name(name).map_or("another value", |setting| setting.expects);
    ConfigError(format!("{}: {got}, expected {expects}", env(name)))
}

fn env(name: &str) -> &'static str {
    settings::by_name(name).map_or("", |setting| setting.env)
}
