//! Checks across settings: what each value allows alone may not hold
//! together. Also reads the files that secrets may stand in.

use std::path::Path;

use super::parse::{self, HostPort};
use super::settings;
use super::{Backend, Config, ConfigError, Secret};
use crate::store::redis;

impl Config {
    /// Whether the settings can be served together.
    ///
    /// # Errors
    /// One line that names the setting to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.election_min_ms <= self.heartbeat_ms {
            let got = self.election_min_ms;
            return Err(wrong("election_min_ms", &format!("got {got}")));
        }
        if self.election_max_ms <= self.election_min_ms {
            let got = self.election_max_ms;
            return Err(wrong("election_max_ms", &format!("got {got}")));
        }
        match self.state_backend {
            Backend::Sqlite | Backend::Memory => Ok(()),
            // Only here: it may be set for another program.
            Backend::Redis => match &self.redis_url {
                Some(url) if !redis::is_url(url.expose()) => {
                    Err(wrong("redis_url", "got another form"))
                }
                Some(_) | None => Ok(()),
            },
            Backend::Raft => self.check_cluster(),
        }
    }

    /// Whether HTTP can be reached by others who would then be refused.
    pub fn refuses_strangers(&self) -> bool {
        self.token.is_none()
            && self.admin_token.is_none()
            && !self.insecure
            && !parse::is_loopback(&self.host)
    }

    fn check_cluster(&self) -> Result<(), ConfigError> {
        const NEEDED: &str = "not set, though STATE_BACKEND=raft needs it";
        if self.node_id.is_none() {
            return Err(wrong("node_id", NEEDED));
        }
        if self.members.is_empty() {
            return Err(wrong("members", NEEDED));
        }
        if self.data_dir.is_none() {
            return Err(wrong("data_dir", NEEDED));
        }
        let needs_secret = !self.members.values().all(HostPort::is_loopback);
        if needs_secret && self.cluster_secret.is_none() && !self.insecure {
            let got = "not set, though SIDECAR_MEMBERS has hosts beyond loopback, \
                       which are refused without it (unless SIDECAR_INSECURE=true)";
            return Err(wrong("cluster_secret", got));
        }
        Ok(())
    }

    /// Fills in what `…_FILE` settings point at.
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
    let file_setting = format!("{name}_file");
    if secret.is_some() {
        return Err(wrong(&file_setting, &format!("got {file:?} beside {}", env(name))));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(&file_setting, &format!("got {file:?} ({error})")))?;
    *secret = settings::shown_secret(text.trim_end_matches(['\r', '\n'])).map_err(|_| {
        let takes = settings::by_name(name).map_or("a secret", |setting| setting.takes);
        wrong(&file_setting, &format!("got {file:?}, which does not hold {takes}"))
    })?;
    Ok(())
}

fn wrong(name: &str, got: &str) -> ConfigError {
    let takes = settings::by_name(name).map_or("another value", |setting| setting.takes);
    ConfigError(format!("{}: {got}, takes {takes}", env(name)))
}

fn env(name: &str) -> &'static str {
    settings::by_name(name).map_or("", |setting| setting.env)
}
