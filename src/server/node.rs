//! The parts of a running node that all of its interfaces share.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::file_limit;
use crate::access::{self, Access};
use crate::api::http;
use crate::config::Config;
use crate::limits::Limits;
use crate::service::{self, Service};
use crate::store::Store;
use crate::sweep;

/// How long the store may take to transfer leadership and to sync its files.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What every interface of a node shares.
pub struct RunningNode {
    pub service: Service,
    pub access: Arc<Access>,
    /// The bounds of callers' connections.
    pub http: http::Options,
    store: Arc<dyn Store>,
    sweep: JoinHandle<()>,
}

impl RunningNode {
    pub fn new(config: &Config, store: Arc<dyn Store>, stop: CancellationToken) -> RunningNode {
        let limits = Limits { value_bytes_max: config.value_bytes_max };
        let mut options = service::Options { limits, stop, ..service::Options::default() };
        let mut http = http::Options::default();
        file_limit::fit(&mut options, &mut http);
        let service = Service::new(store.clone(), options);
        let access = Arc::new(Access::new(access::Options {
            token: config.token.clone(),
            admin_token: config.admin_token.clone(),
            insecure: config.insecure,
            hosts: config.allowed_hosts.clone(),
            origins: config.allowed_origins.clone(),
        }));
        let sweep = tokio::spawn(sweep::run(store.clone(), sweep::Options::default()));
        RunningNode { service, access, http, store, sweep }
    }

    pub async fn close(&self) {
        self.sweep.abort();
        if tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::warn!("the store did not close in time; it recovers at the next start");
        }
    }
}
