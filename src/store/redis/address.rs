//! The address of a Redis: the forms of `REDIS_URL`, and how the primary is found,
//! by its name or by asking Sentinels.

use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, TlsMode};
use tokio::sync::Mutex;

use super::error::{RedisFault, RedisOpenError};

/// How long connecting may take, including name resolution and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer may take, including the network. A script that reads and
/// writes thousands of rows takes some tens of milliseconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The port of a Sentinel if its address has none.
const SENTINEL_PORT: u16 = 26_379;

/// A Redis, or the Sentinels that know where it is.
pub struct RedisAddress {
    route: RedisRoute,
    /// How messages name it: without user and password.
    pub place: String,
}

enum RedisRoute {
    Direct(Box<Client>),
    /// Each question moves on to the next Sentinel.
    Sentinel(Box<Mutex<SentinelClient>>),
}

impl RedisAddress {
    /// Parses the forms `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://…`
    /// (TLS), `redis+unix:///PATH[?db=DB&user=USER&pass=PASSWORD]`, and for
    /// Sentinels `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,…]/NAME[/DB]`
    /// (`rediss+sentinel://` with TLS to Redis; `?sentinel_user=USER` and
    /// `sentinel_password=PASSWORD` for Sentinels that ask for them).
    ///
    /// # Errors
    /// The URL has none of these forms. The message does not repeat it.
    pub fn parse(url: &str) -> Result<RedisAddress, RedisOpenError> {
        if let Some(rest) = url.strip_prefix("redis+sentinel://") {
            return sentinels(rest, false);
        }
        if let Some(rest) = url.strip_prefix("rediss+sentinel://") {
            return sentinels(rest, true);
        }
        let info = url.into_connection_info().map_err(|error| invalid_url(&error))?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            prepare_tls();
        }
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis at {host}:{port}"),
            ConnectionAddr::TcpTls { host, port, .. } => format!("redis at {host}:{port} (TLS)"),
            other => format!("redis at {other}"),
        };
        let client = Client::open(info).map_err(|error| invalid_url(&error))?;
        Ok(RedisAddress { route: RedisRoute::Direct(Box::new(client)), place })
    }

    /// A connection to the primary that can carry many requests at a time.
    ///
    /// # Errors
    /// [`RedisFault::Unreached`] or [`RedisFault::Refused`]. Nothing was sent.
    pub async fn connect(&self) -> Result<MultiplexedConnection, RedisFault> {
        let connecting = async {
            let client = self.client().await?;
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT));
            let connection = client.get_multiplexed_async_connection_with_config(&config).await;
            connection.map_err(|error| RedisFault::before_sending(&error))
        };
        within(CONNECT_TIMEOUT, connecting).await
    }

    /// A connection that listens on a channel.
    ///
    /// # Errors
    /// See [`RedisAddress::connect`].
    pub async fn listen(&self, channel: &str) -> Result<PubSub, RedisFault> {
        let connecting = async {
            let client = self.client().await?;
            let listening = async {
                let mut listener = client.get_async_pubsub().await?;
                listener.subscribe(channel).await?;
                Ok(listener)
            };
            listening.await.map_err(|error| RedisFault::before_sending(&error))
        };
        within(CONNECT_TIMEOUT, connecting).await
    }

    async fn client(&self) -> Result<Client, RedisFault> {
        match &self.route {
            RedisRoute::Direct(client) => Ok(Client::clone(client)),
            RedisRoute::Sentinel(sentinels) => {
                let found = sentinels.lock().await.async_get_client().await;
                found.map_err(|error| RedisFault::before_sending(&error))
            }
        }
    }
}

/// Whether [`super::Options::url`] may have this value, as far as its form goes.
pub fn is_url(text: &str) -> bool {
    RedisAddress::parse(text).is_ok()
}

/// Chooses the cryptography for TLS. Without a choice, rustls panics at the first
/// connection.
fn prepare_tls() {
    // This fails if a provider was chosen already, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn within<T>(
    timeout: Duration,
    connecting: impl Future<Output = Result<T, RedisFault>> + Send,
) -> Result<T, RedisFault> {
    // Boxed, because the future is large and seldom awaited.
    let connecting: BoxFuture<'_, _> = Box::pin(connecting);
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            let why = format!("no connection within {} s", timeout.as_secs());
            Err(RedisFault::Unreached(why))
        }
    }
}

/// `[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]/NAME[/DB]`
fn sentinels(rest: &str, tls: bool) -> Result<RedisAddress, RedisOpenError> {
    const FORM: &str =
        "takes redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DB]";
    let form = || RedisOpenError::Url(FORM.to_owned());
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let mut parts = rest.trim_end_matches('/').split('/');
    let hosts = parts.next().filter(|hosts| !hosts.is_empty()).ok_or_else(form)?;
    let name = parts.next().filter(|name| !name.is_empty()).ok_or_else(form)?;
    let db = parts.next().map_or(Ok(0), str::parse::<i64>).map_err(|_| form())?;
    if parts.next().is_some() {
        return Err(form());
    }
    let addresses = hosts.split(',').map(address).collect::<Option<Vec<_>>>().ok_or_else(form)?;
    let builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master);
    let mut builder = builder.map_err(|error| invalid_url(&error))?.set_client_to_redis_db(db);
    if tls {
        prepare_tls();
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = user {
        let (username, password) = credentials(user)?;
        if let Some(username) = username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_redis_password(password);
        }
    }
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        let (value, _) = credentials(value)?;
        builder = match (name, value) {
            ("sentinel_user", Some(user)) => builder.set_client_to_sentinel_username(user),
            ("sentinel_password", Some(word)) => builder.set_client_to_sentinel_password(word),
            _ => return Err(form()),
        };
    }
    let client = builder.build().map_err(|error| invalid_url(&error))?;
    let place = format!("redis '{name}' known to Sentinels at {hosts}");
    Ok(RedisAddress { route: RedisRoute::Sentinel(Box::new(Mutex::new(client))), place })
}

/// Parses `USER`, `USER:PASSWORD` or `:PASSWORD`. The client decodes the escapes
/// as it does in any URL.
fn credentials(text: &str) -> Result<(Option<String>, Option<String>), RedisOpenError> {
    let info = format!("redis://{text}@host").into_connection_info();
    let info = info.map_err(|error| invalid_url(&error))?;
    let settings = info.redis_settings();
    Ok((settings.username().map(str::to_owned), settings.password().map(str::to_owned)))
}

/// Parses `HOST[:PORT]`, with IPv6 addresses in brackets.
fn address(text: &str) -> Option<ConnectionAddr> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok()?)
        }
        Some(_) | None => (text, SENTINEL_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| ConnectionAddr::Tcp(host.to_owned(), port))
}

fn invalid_url(error: &redis::RedisError) -> RedisOpenError {
    let reason = error.detail().map_or_else(|| error.category().to_owned(), str::to_owned);
    RedisOpenError::Url(format!(
        "{reason}; takes redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://… for TLS, \
         redis+unix:///PATH, or redis+sentinel://HOST[:PORT][,…]/NAME[/DB]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> String {
        match RedisAddress::parse(url) {
            Ok(address) => address.place,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_form_is_parsed_and_no_secret_is_shown() {
        assert_eq!(place("redis://localhost"), "redis at localhost:6379");
        assert_eq!(place("redis://u:hidden@h:7/3"), "redis at h:7");
        assert_eq!(place("rediss://:hidden@h"), "redis at h:6379 (TLS)");
        assert_eq!(place("redis+unix:///run/r.sock?pass=hidden"), "redis at /run/r.sock");
        assert_eq!(
            place("redis+sentinel://u:hidden@a,b:7,[::1]:9/main/2"),
            "redis 'main' known to Sentinels at a,b:7,[::1]:9"
        );
        assert_eq!(
            place("redis+sentinel://a/main?sentinel_user=s&sentinel_password=hidden%2F"),
            "redis 'main' known to Sentinels at a"
        );
        for wrong in [
            "",
            "http://h",
            "redis+sentinel://h/m?word=hidden",
            "redis://h/x",
            "redis+sentinel://h",
            "redis+sentinel:///m",
        ] {
            assert!(place(wrong).contains("takes redis"), "{wrong}: {}", place(wrong));
        }
        assert!(!place("redis://u:hidden@h/x").contains("hidden"));
    }
}
