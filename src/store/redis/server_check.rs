//! The server check: whether a Redis can keep what this store promises.

use redis::InfoDict;
use redis::aio::MultiplexedConnection;

use super::error::RedisFault;

/// The oldest version (2021) in which ranges of a stream can have exclusive ends.
const VERSION_MIN: (u32, u32) = (6, 2);

/// Refuses a server on which the promises of this store do not hold.
pub(super) async fn check_server(connection: &mut MultiplexedConnection) -> Result<(), RedisFault> {
    let info: Result<InfoDict, _> =
        redis::cmd("INFO").arg("everything").query_async(connection).await;
    check_info(&info.map_err(|error| RedisFault::before_sending(&error))?)
}

fn check_info(info: &InfoDict) -> Result<(), RedisFault> {
    let text = |name: &str| info.get::<String>(name).unwrap_or_default();
    let version = text("redis_version");
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
        let (major, minor) = VERSION_MIN;
        return Err(RedisFault::Refused(format!(
            "version {version} is too old: {major}.{minor} or newer is needed"
        )));
    }
    if text("cluster_enabled") == "1" {
        return Err(RedisFault::Refused(
            "a node of a Redis Cluster: the history is one chain, so all keys must be in one slot \
             of one primary; use a Redis without cluster mode"
                .into(),
        ));
    }
    let policy = text("maxmemory_policy");
    if policy.starts_with("allkeys") {
        return Err(RedisFault::Refused(format!(
            "its maxmemory-policy {policy} would evict rows; set noeviction"
        )));
    }
    if text("role") != "master" {
        return Err(RedisFault::NotNow("a replica, which takes no writes".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: &str, role: &str, policy: &str, cluster: u8) -> Result<(), RedisFault> {
        check_info(&InfoDict::new(&format!(
            "redis_version:{version}\r\nrole:{role}\r\nmaxmemory_policy:{policy}\r\n\
             cluster_enabled:{cluster}\r\n"
        )))
    }

    #[test]
    fn servers_that_cannot_keep_the_promises_are_refused() {
        for version in ["6.2.0", "6.10.1", "7.0.15", "10.0.0"] {
            assert!(checked(version, "master", "noeviction", 0).is_ok(), "{version}");
            assert!(checked(version, "master", "volatile-lru", 0).is_ok(), "{version}");
        }
        for version in ["5.0.14", "6.0.16", "6.1.240", ""] {
            let refused = checked(version, "master", "noeviction", 0);
            assert!(matches!(refused, Err(RedisFault::Refused(_))), "{version}: {refused:?}");
        }
        let evicts = checked("7.0.0", "master", "allkeys-lru", 0);
        assert!(matches!(evicts, Err(RedisFault::Refused(_))), "{evicts:?}");
        let cluster = checked("7.0.0", "master", "noeviction", 1);
        assert!(matches!(cluster, Err(RedisFault::Refused(_))), "{cluster:?}");
        // A replica may be promoted at any moment, so this is only temporary.
        let replica = checked("7.0.0", "slave", "noeviction", 0);
        assert!(matches!(replica, Err(RedisFault::NotNow(_))), "{replica:?}");
    }
}
