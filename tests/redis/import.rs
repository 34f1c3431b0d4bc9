//! Imports that are disturbed. Whatever happens, the target is complete or stays as it
//! was.

use mcp_state_sidecar::machine::{Meta, Row};
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::redis::{Options, RedisImport, RedisImportError};
use mcp_state_sidecar::store::{Store, StoreError};

use crate::common::{get, open, set, soon};
use crate::export::whole;
use support::redis_server::{self, RedisServer};

struct Scene {
    server: RedisServer,
    meta: Meta,
    rows: Vec<Row>,
    events: Vec<Part>,
}

impl Scene {
    /// A server with a state that others are filled from; none where there is
    /// no redis-server.
    async fn set() -> Option<Scene> {
        if !redis_server::is_installed("imports") {
            return None;
        }
        let server = RedisServer::start();
        let source = open(&server, "source").await;
        for n in 0..10 {
            set(&source, &format!("k{n}"), n, soon()).await.expect("a write");
        }
        let (meta, rows, events) = whole(&source).await;
        source.close().await;
        let events = events.into_iter().map(Part::Event).collect();
        Some(Scene { server, meta, rows, events })
    }

    fn rows(&self) -> Vec<Part> {
        self.rows.iter().cloned().map(Part::Row).collect()
    }

    fn target(&self) -> Options {
        Options { url: self.server.url(), prefix: "target".into(), ..Options::default() }
    }

    async fn begin(
        &self,
        options: Options,
        replace: bool,
    ) -> Result<RedisImport, RedisImportError> {
        RedisImport::begin(options, self.meta.clone(), replace).await
    }

    /// An import that only has to be finished.
    async fn filled(&self, options: Options, replace: bool) -> Box<RedisImport> {
        let mut import = self.begin(options, replace).await.expect("an import");
        import.take(self.rows()).await.expect("rows are taken");
        import.take(self.events.clone()).await.expect("events are taken");
        Box::new(import)
    }

    fn keys_with(&self, part: &str) -> Vec<String> {
        let mut keys = self.server.keys();
        keys.retain(|key| key.contains(part));
        keys.sort();
        keys
    }

    /// What lies under the target's names, to the byte.
    fn present(&self) -> Vec<(String, Vec<u8>)> {
        let keys = self.keys_with("{target}").into_iter().filter(|key| !key.contains(":import:"));
        keys.map(|key| (key.clone(), self.server.ask(&["DUMP", &key]))).collect()
    }

    fn user(&self, name: &str, but: &str) -> Options {
        self.server.ask::<()>(&["ACL", "SETUSER", name, "on", ">pw", "~*", "&*", "+@all", but]);
        let url = self.server.url().replace("redis://", &format!("redis://{name}:pw@"));
        Options { url, ..self.target() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_comes_meanwhile_keeps_its_state() {
    let Some(scene) = Scene::set().await else { return };
    let store = open(&scene.server, "target").await;
    set(&store, "old", 7, soon()).await.expect("a write");
    store.close().await;
    drop(store);
    let import = loop {
        match scene.begin(scene.target(), true).await {
            Ok(import) => break import,
            // The listener hangs up a moment after its store is gone.
            Err(RedisImportError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    drop(import);
    let import = scene.filled(scene.target(), true).await;
    let store = open(&scene.server, "target").await;
    // It is heard of once it listens.
    while scene.server.ask::<(String, u64)>(&["PUBSUB", "NUMSUB", "{target}:changes"]).1 == 0 {
        tokio::task::yield_now().await;
    }
    let refused = import.finish().await;
    let line = refused.expect_err("it is served").to_string();
    assert!(line.contains("served by 1 sidecars"), "{line}");
    assert_eq!(get(&store, "old", soon()).await.expect("it serves"), Some(7));
    set(&store, "old", 8, soon()).await.expect("it serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_lost_of_an_import_is_noticed() {
    let Some(scene) = Scene::set().await else { return };
    let mut lost = 0;
    loop {
        let import = scene.filled(scene.target(), false).await;
        let keys = scene.keys_with(":import:");
        let Some(key) = keys.get(lost) else {
            // Nothing lost: it is adopted.
            assert!(lost >= 4, "only {lost} kinds of keys: {keys:?}");
            import.finish().await.expect("it is whole");
            break;
        };
        scene.server.ask::<()>(&["DEL", key]);
        let refused = import.finish().await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains(key)),
            "{refused:?}"
        );
        assert_eq!(scene.present(), []);
        // What was given up goes a moment later.
        while !scene.keys_with(":import:").is_empty() {
            tokio::task::yield_now().await;
        }
        lost += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_first_does_not_expire_while_more_comes() {
    let Some(scene) = Scene::set().await else { return };
    let mut import = scene.begin(scene.target(), false).await.expect("an import");
    import.take(scene.rows()).await.expect("rows are taken");
    let keys = scene.keys_with(":import:");
    assert!(keys.len() >= 2, "{keys:?}");
    for key in &keys {
        scene.server.ask::<()>(&["EXPIRE", key, "60"]);
    }
    import.take(scene.events.clone()).await.expect("events are taken");
    for key in &keys {
        let left: i64 = scene.server.ask(&["TTL", key]);
        assert!(left > 3_000, "{key} goes in {left} s");
    }
    Box::new(import).finish().await.expect("it is whole");
    for (key, _) in scene.present() {
        assert_eq!(scene.server.ask::<i64>(&["TTL", &key]), -1, "{key} would go");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_finished_is_not_begun() {
    let Some(scene) = Scene::set().await else { return };
    // A key of ours that is somebody else's.
    let import = scene.filled(scene.target(), true).await;
    scene.server.ask::<()>(&["SET", "{target}:name", "theirs"]);
    let before = scene.present();
    let line = import.finish().await.expect_err("it is not ours").to_string();
    assert!(line.contains("{target}:name holds a string"), "{line}");
    assert_eq!(scene.present(), before);
    scene.server.ask::<()>(&["DEL", "{target}:name"]);
    // A user who may not do all of it.
    for but in ["-rename", "-unlink", "-persist", "-hset"] {
        let import = scene.filled(scene.user("limited", "+@all"), true).await;
        scene.user("limited", but);
        import.finish().await.expect_err(but);
        assert_eq!(scene.present(), [], "{but}");
    }
    // Nobody has to be told.
    let import = scene.filled(scene.user("silent", "-publish"), true).await;
    import.finish().await.expect("it is whole");
    let store = open(&scene.server, "target").await;
    assert_eq!(get(&store, "k1", soon()).await.expect("it serves"), Some(1));
}
