//! Configuration: which source wins and how the settings are printed, the one line that a
//! mistake causes, that secrets stay hidden, and that the files and tables which people
//! copy are correct.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mcp_state_sidecar::config::settings::{SETTINGS, SettingKind, by_name};
use mcp_state_sidecar::config::{
    Backend, CONFIG_ENV, Config, ConfigError, ConfigNote, LogFormat, ResolvedConfig, SettingSource,
    Sources,
};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The sources of one test.
#[derive(Default)]
struct Given {
    sources: Sources,
    _dir: Option<tempfile::TempDir>,
}

impl Given {
    fn new() -> Given {
        Given::default()
    }

    fn env(mut self, name: &str, value: &str) -> Given {
        self.sources.env.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, name: &str, value: &str) -> Given {
        let setting = by_name(name).expect("a setting");
        assert!(setting.flag.is_some(), "{name} has no flag");
        self.sources.flags.push((setting.name, value.to_owned()));
        self
    }

    fn file(mut self, text: &str) -> Given {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        self.sources.file = Some(path);
        self._dir = Some(dir);
        self
    }

    /// A cluster with valid settings, of which a test changes one.
    fn cluster() -> Given {
        Given::new()
            .env("STATE_BACKEND", "raft")
            .env("SIDECAR_NODE_ID", "2")
            .env("SIDECAR_MEMBERS", "1=127.0.0.1:9000,2=127.0.0.1:9001,3=[::1]:9002")
            .env("SIDECAR_DATA_DIR", "data")
    }

    fn resolve(&self) -> ResolvedConfig {
        ResolvedConfig::from_sources(&self.sources).unwrap()
    }

    fn load(&self) -> Config {
        Config::load(&self.sources).unwrap()
    }

    /// The line that stops the start.
    fn line(&self) -> String {
        let line = Config::load(&self.sources).unwrap_err().to_string();
        assert!(!line.contains('\n'), "more than one line: {line:?}");
        line
    }
}

#[test]
fn defaults_are_those_of_the_python_reference() {
    let config = Given::new().load();
    assert_eq!(config.state_backend, Backend::Sqlite);
    assert_eq!(config.db_path, Path::new("state_sidecar.db"));
    assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8000));
    assert_eq!(config.redis_url.unwrap().expose(), "redis://localhost:6379");
    assert_eq!(config.value_bytes_max, 1024 * 1024);
    assert_eq!(config.log_format, LogFormat::Text);
    assert!(config.token.is_none() && !config.insecure && config.node_id.is_none());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "port = 1\nlog = \"debug\"\ncluster_name = \"file\"\n";
    let given = Given::new()
        .file(file)
        .env("SIDECAR_PORT", "2")
        .env("SIDECAR_LOG", "warn")
        .flag("port", "3");
    let resolved = given.resolve();
    assert_eq!(resolved.config.port, 3);
    assert_eq!(resolved.config.log, "warn");
    assert_eq!(resolved.config.cluster_name, "file");
    assert_eq!(resolved.config.host, "0.0.0.0");
    let source = |name| resolved.shown.iter().find(|s| s.name == name).unwrap().source.clone();
    assert_eq!(source("port"), SettingSource::Flag);
    assert_eq!(source("log"), SettingSource::Env);
    assert_eq!(source("cluster_name"), SettingSource::File(given.sources.file.clone().unwrap()));
    assert_eq!(source("host"), SettingSource::Default);
}

#[test]
fn the_last_of_repeated_flags_wins() {
    assert_eq!(Given::new().flag("port", "1").flag("port", "2").load().port, 2);
}

#[test]
fn the_environment_can_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("from-env.toml");
    std::fs::write(&path, "port = 4242\n").unwrap();
    let given = Given::new().env(CONFIG_ENV, path.to_str().unwrap());
    assert_eq!(given.load().port, 4242);
}

#[test]
fn each_setting_has_one_name_everywhere() {
    let bare = ["STATE_BACKEND", "DB_PATH", "REDIS_URL"];
    let mut seen = BTreeSet::new();
    for setting in SETTINGS {
        let upper = setting.name.to_uppercase();
        let expected =
            if bare.contains(&upper.as_str()) { upper } else { format!("SIDECAR_{upper}") };
        assert_eq!(setting.env, expected);
        match setting.flag {
            Some(flag) => assert_eq!(flag, setting.name.replace('_', "-")),
            None => assert_eq!(setting.kind, SettingKind::Secret, "{} has no flag", setting.name),
        }
        assert!(seen.insert(setting.name), "{} is listed twice", setting.name);
    }
}

#[test]
fn the_file_can_contain_every_setting() {
    let value = |name: &str| match name {
        "state_backend" => "\"memory\"",
        "redis_move_in" => "\"always\"",
        "insecure" => "true",
        "members" => "[\"1=a:1\", \"2=b:2\"]",
        "raft_addr" | "grpc_addr" => "\"[::1]:7\"",
        "advertise_url" => "\"http://a:8000/mcp\"",
        "host" => "\"localhost\"",
        "port" => "7",
        "node_id" => "2",
        "value_bytes_max" | "state_bytes_max" => "2048",
        "run_retention" => "\"2h\"",
        "heartbeat_ms" => "11",
        "election_min_ms" => "22",
        "election_max_ms" => "33",
        "snapshot_entries" | "keep_entries" => "1000",
        "log" => "\"warn,mcp_state_sidecar=trace\"",
        "log_format" => "\"json\"",
        "allowed_hosts" | "allowed_origins" => "[\"x\", \"y\"]",
        "tools" => "[\"worker\", \"state_list\"]",
        _ => "\"some-text-of-ours\"",
    };
    for setting in SETTINGS.iter().filter(|setting| !setting.name.ends_with("_file")) {
        let given = Given::new().file(&format!("{} = {}", setting.name, value(setting.name)));
        let resolved = given.resolve();
        let shown = resolved.shown.iter().find(|shown| shown.name == setting.name).unwrap();
        assert!(matches!(shown.source, SettingSource::File(_)), "{}: {shown:?}", setting.name);
    }
    let config = Given::new()
        .file("members = [\"1=a:1\", \"2=b:2\"]\ninsecure = true\nraft_addr = \"[::1]:7\"")
        .resolve()
        .config;
    assert_eq!(config.members[&2].to_string(), "b:2");
    assert_eq!(config.raft_addr.to_string(), "[::1]:7");
    assert!(config.insecure);
}

#[test]
fn a_wrong_value_is_one_line_with_name_value_and_what_is_expected() {
    let port = "expected a port from 0 to 65535 (0 means any free port)";
    assert_eq!(
        Given::new().env("SIDECAR_PORT", "80000").line(),
        format!("SIDECAR_PORT: got \"80000\", {port}")
    );
    assert_eq!(Given::new().flag("port", "http").line(), format!("--port: got \"http\", {port}"));
    let given = Given::new().file("port = -1");
    let file = given.sources.file.clone().unwrap();
    assert_eq!(given.line(), format!("port in {}: got \"-1\", {port}", file.display()));
    assert_eq!(
        Given::new().env("STATE_BACKEND", "file").line(),
        "STATE_BACKEND: got \"file\", expected sqlite, redis, raft or memory"
    );
    assert_eq!(
        Given::new().env("SIDECAR_LOG", "loud").line(),
        "SIDECAR_LOG: got \"loud\" (\"loud\" is not a level), expected off, error, warn, \
         info, debug or trace, also for each module: info,rmcp=warn"
    );
    let lines_in_it = Given::new().env("SIDECAR_HOST", "a\nb").line();
    assert!(lines_in_it.contains("got \"a\\nb\""), "{lines_in_it}");
    let long = Given::new().env("SIDECAR_PORT", &"9".repeat(100_000)).line();
    assert!(long.len() < 300, "{} bytes", long.len());
}

#[test]
fn wrong_values_of_every_setting_are_refused() {
    for (name, wrong) in [
        ("state_backend", "mysql"),
        ("db_path", ""),
        ("host", ""),
        ("host", "a b"),
        ("host", "localhost:8000"),
        ("port", ""),
        ("port", "65536"),
        ("grpc_addr", "localhost"),
        ("grpc_addr", "::1:9000"),
        ("insecure", "maybe"),
        ("value_bytes_max", "0"),
        ("value_bytes_max", "1e6"),
        ("node_id", "0"),
        ("node_id", "one"),
        ("cluster_name", ""),
        ("members", ""),
        ("members", "a:1"),
        ("members", "1=a"),
        ("members", "0=a:1"),
        ("members", "1=a:0"),
        ("members", "1=a:1,1=b:1"),
        ("members", "1=a:1,2=a:1"),
        ("raft_addr", "9000"),
        ("advertise_url", "ftp://a"),
        ("advertise_url", "http://"),
        ("data_dir", ""),
        ("heartbeat_ms", "0"),
        ("election_min_ms", "-5"),
        ("election_max_ms", "1.5"),
        ("snapshot_entries", "0"),
        ("keep_entries", ""),
        ("log", "info,hyper=loud"),
        ("log_format", "xml"),
    ] {
        let expects = by_name(name).unwrap().expects;
        let line = Given::new().flag(name, wrong).line();
        assert!(line.contains(expects) && line.starts_with("--"), "{name}={wrong:?}: {line}");
    }
    let ten = (1..=10).map(|id| format!("{id}=h:{id}")).collect::<Vec<_>>().join(",");
    assert!(Given::new().flag("members", &ten).line().contains("at most 9"));
}

#[test]
fn unknown_names_in_a_file_are_refused_with_the_nearest() {
    let given = Given::new().file("prot = 1");
    assert!(given.line().ends_with("prot: no such setting; did you mean port?"));
    let given = Given::new().file("colour_of_the_sky = \"blue\"");
    assert!(given.line().ends_with("no such setting; --print-config lists them all"));
    let given = Given::new().file("[port]\nx = 1");
    assert!(given.line().contains("got a TOML table"), "{}", given.line());
}

#[test]
fn unknown_variables_are_noted_with_the_nearest_and_stop_nothing() {
    let given = Given::new()
        .env("SIDECAR_MEMBER", "1=a:1")
        .env("SIDECAR_COLOUR_OF_THE_SKY", "hunter2-hunter2")
        .env("SIDECARRIAGE", "1")
        .env("SIDECAR_CA_FILE", "ca.pem")
        .env("PATH", "/bin");
    let resolved = given.resolve();
    let lines: Vec<String> = resolved.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "warning: SIDECAR_MEMBER: no such setting, ignored; did you mean SIDECAR_MEMBERS?",
            "warning: SIDECAR_COLOUR_OF_THE_SKY: no such setting, ignored; --print-config lists \
             them all",
        ]
    );
    assert_eq!(given.load().port, 8000);
    assert!(!format!("{resolved:?}").contains("hunter2"), "the value may be a secret");
    let long = Given::new().env(&format!("SIDECAR_{}", "X".repeat(100_000)), "1").resolve();
    assert!(long.notes[0].to_string().len() < 200);
}

#[test]
fn the_nearest_variable_is_found_beyond_the_prefix() {
    for (misspelt, meant) in [
        ("SIDECAR_REDIS_URL", Some("REDIS_URL")),
        ("SIDECAR_DB_PATH", Some("DB_PATH")),
        ("SIDECAR_DBPATH", Some("DB_PATH")),
        ("SIDECAR_STATE_BACKEND", Some("STATE_BACKEND")),
        ("SIDECAR_BACKEND", None),
        ("SIDECAR_REDIS_PREFX", Some("SIDECAR_REDIS_PREFIX")),
        ("SIDECAR_CONFG", Some("SIDECAR_CONFIG")),
        ("SIDECAR_", None),
    ] {
        let notes = Given::new().env(misspelt, "x").resolve().notes;
        let expected = ConfigNote::Unknown { name: misspelt.to_owned(), nearest: meant };
        assert_eq!(notes, [expected]);
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let empty = || {
        let all = SETTINGS.iter().map(|setting| setting.env);
        let all = all.chain([CONFIG_ENV, "SIDECAR_CA_FILE", "SIDECAR_COLOUR"]);
        all.fold(Given::new(), |given, name| given.env(name, ""))
    };
    let (none, resolved) = (Given::new().resolve(), empty().resolve());
    assert_eq!((resolved.shown, resolved.notes), (none.shown, none.notes));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "from-the-file").unwrap();
    let settings = format!("port = 81\ntools = [\"worker\"]\ntoken_file = {file:?}\n");
    let config = empty().file(&settings).load();
    assert_eq!((config.port, config.token.unwrap().expose()), (81, "from-the-file"));
    assert!(config.tools.is_some(), "a list of the file counts as well");
}

#[test]
fn what_kubernetes_says_of_services_is_no_setting() {
    let of_services = [
        ("SIDECAR_SERVICE_HOST", "10.0.0.1"),
        ("SIDECAR_SERVICE_PORT", "8000"),
        ("SIDECAR_SERVICE_PORT_HTTP", "8000"),
        ("SIDECAR_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("SIDECAR_PORT_8000_TCP_PROTO", "tcp"),
        ("SIDECAR_PORT_8000_TCP_PORT", "8000"),
        ("SIDECAR_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("SIDECAR_REDIS_PORT", "tcp://10.0.0.2:6379"),
        ("SIDECAR_NODE_0_SERVICE_HOST", "fd00::1"),
    ];
    for address in ["tcp://10.0.0.1:8000", "udp://10.0.0.1:8000", "tcp://[fd00::1]:8000"] {
        let given = || {
            let given = Given::new().env("SIDECAR_PORT", address);
            of_services.iter().fold(given, |given, (name, value)| given.env(name, value))
        };
        let resolved = given().resolve();
        assert_eq!(resolved.config.port, 8000, "the default counts");
        let note = ConfigNote::Service { name: "SIDECAR_PORT", value: address.to_owned() };
        assert_eq!(resolved.notes, [note]);
        assert_eq!(given().file("port = 81").load().port, 81);
        assert_eq!(given().flag("port", "82").load().port, 82);
    }
    let line = Given::new().env("SIDECAR_PORT", "tcp://example:8000").line();
    assert!(line.starts_with("SIDECAR_PORT: got \"tcp://example:8000\""), "{line}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let mut given = Given::new();
    given.sources.file = Some(PathBuf::from("/nowhere/at-all.toml"));
    assert!(given.line().starts_with("/nowhere/at-all.toml: cannot read the settings"));
    let given = Given::new().file("port = 1\n\ntoken = \"broken-secret\" x");
    let line = given.line();
    assert!(line.contains("line 3: not TOML"), "{line}");
    assert!(!line.contains("broken-secret"), "{line}");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let mut given = Given::new();
    given.sources.env.push(("SIDECAR_HOST".into(), OsString::from_vec(vec![0xff])));
    assert!(given.line().starts_with("SIDECAR_HOST: got bytes that are not UTF-8"));
}

#[test]
fn a_cluster_needs_its_settings_together() {
    let config = Given::cluster().load();
    assert_eq!((config.node_id, config.members.len()), (Some(2), 3));
    let raft = || Given::new().env("STATE_BACKEND", "raft");
    assert!(raft().line().starts_with("SIDECAR_NODE_ID: not set, though STATE_BACKEND=raft"));
    let line = raft().env("SIDECAR_NODE_ID", "1").line();
    assert!(line.starts_with("SIDECAR_MEMBERS: not set"), "{line}");
    let line = raft().env("SIDECAR_NODE_ID", "1").env("SIDECAR_MEMBERS", "1=[::1]:1").line();
    assert!(line.starts_with("SIDECAR_DATA_DIR: not set"), "{line}");
    let joins = Given::cluster().flag("node_id", "4").load();
    assert_eq!(
        joins.node_id,
        Some(4),
        "a node that SIDECAR_MEMBERS does not list waits to be added"
    );
    let line = Given::cluster().flag("election_min_ms", "80").line();
    assert!(line.starts_with("SIDECAR_ELECTION_MIN_MS: got 80"), "{line}");
    let line = Given::cluster().flag("election_max_ms", "150").line();
    assert!(line.starts_with("SIDECAR_ELECTION_MAX_MS: got 150"), "{line}");
}

#[test]
fn a_node_advertises_its_url_or_else_its_address_as_a_member() {
    let url = |given: Given| given.load().advertised_url();
    assert_eq!(url(Given::cluster()).as_deref(), Some("http://127.0.0.1:8000/mcp"));
    let third = Given::cluster().flag("node_id", "3").flag("port", "8002");
    assert_eq!(url(third).as_deref(), Some("http://[::1]:8002/mcp"));
    let joins = || Given::cluster().flag("node_id", "4");
    assert_eq!(url(joins()), None, "it listens on all interfaces");
    assert_eq!(
        url(joins().flag("raft_addr", "[::]:9000")),
        None,
        "it listens on all interfaces here too"
    );
    let joins = joins().flag("raft_addr", "127.0.0.4:9000").flag("port", "8003");
    assert_eq!(url(joins).as_deref(), Some("http://127.0.0.4:8003/mcp"));
    let says = Given::cluster().flag("advertise_url", "https://agents.example.org/mcp/");
    assert_eq!(url(says).as_deref(), Some("https://agents.example.org/mcp"));
    assert_eq!(url(Given::new()), None);
}

#[test]
fn peers_on_other_machines_need_a_secret() {
    let remote = || Given::cluster().flag("members", "1=node1:9000,2=127.0.0.1:9001");
    assert!(remote().line().starts_with("SIDECAR_CLUSTER_SECRET: not set"));
    assert!(
        remote().env("SIDECAR_CLUSTER_SECRET", "correct-horse").load().cluster_secret.is_some()
    );
    assert!(remote().env("SIDECAR_INSECURE", "true").load().insecure);
}

#[test]
fn remote_callers_are_refused_until_a_token_is_set() {
    assert!(Given::new().load().refuses_remote_callers());
    assert!(!Given::new().flag("host", "127.0.0.1").load().refuses_remote_callers());
    assert!(!Given::new().env("SIDECAR_TOKEN", "12345678").load().refuses_remote_callers());
    assert!(!Given::new().flag("insecure", "true").load().refuses_remote_callers());
}

#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2-hunter2";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let given = Given::new()
        .file(&format!("token = \"{SECRET}\""))
        .env("SIDECAR_ADMIN_TOKEN", SECRET)
        .env("REDIS_URL", &format!("redis://:{SECRET}@host"))
        .flag("cluster_secret_file", file.to_str().unwrap());
    let resolved = given.resolve();
    let config = &resolved.config;
    for secret in [&config.token, &config.admin_token, &config.cluster_secret] {
        assert_eq!(secret.as_ref().unwrap().expose(), SECRET);
    }
    for text in [format!("{resolved}"), format!("{resolved:?}"), format!("{config:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let printed = resolved.to_string();
    let line = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("SIDECAR_TOKEN ").contains("(set)"), "{printed}");
    assert!(line("REDIS_URL").contains("(set)"), "{printed}");
    for name in ["SIDECAR_TOKEN", "SIDECAR_CLUSTER_SECRET"] {
        let line = Given::new().env(name, "hunter2").line();
        assert!(!line.contains("hunter2") && line.contains("7 characters"), "{line}");
    }
}

#[test]
fn a_secret_may_be_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "0123456789\r\n").unwrap();
    let given = || Given::new().flag("token_file", file.to_str().unwrap());
    assert_eq!(given().load().token.unwrap().expose(), "0123456789");
    std::fs::write(&file, "").unwrap();
    assert!(given().line().starts_with("SIDECAR_TOKEN_FILE: got"));
    std::fs::remove_file(&file).unwrap();
    assert!(given().line().contains("No such file"), "{}", given().line());
}

#[test]
fn of_a_secret_and_its_file_the_stronger_source_wins() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "from-the-file").unwrap();
    let path = file.to_str().unwrap();
    let read = |given: Given, name: &str| {
        let config = given.resolve().config;
        let secret = match name {
            "token" => config.token,
            "admin_token" => config.admin_token,
            _ => config.cluster_secret,
        };
        secret.unwrap().expose().to_owned()
    };
    for name in ["token", "admin_token", "cluster_secret"] {
        let (env, file_env) =
            (by_name(name).unwrap().env, by_name(&format!("{name}_file")).unwrap().env);
        let file_setting = format!("{name}_file");
        // The weaker one is not even parsed or read.
        for weaker in ["/nowhere/at-all", path] {
            let given = Given::new().file(&format!("{file_setting} = {weaker:?}"));
            assert_eq!(read(given.env(env, "from-the-env"), name), "from-the-env");
        }
        for weaker in ["short", "long-enough"] {
            let given = Given::new().file(&format!("{name} = {weaker:?}")).env(file_env, path);
            assert_eq!(read(given, name), "from-the-file");
            let given = Given::new().env(env, weaker).flag(&file_setting, path);
            assert_eq!(read(given, name), "from-the-file");
        }
        let both = Given::new().env(env, "from-the-env").env(file_env, path).line();
        assert!(both.starts_with(&format!("{file_env}: set beside {env}")), "{both}");
        let both = format!("{name} = \"long-enough\"\n{file_setting} = {path:?}\n");
        let line = Given::new().file(&both).line();
        assert!(line.starts_with(&format!("{file_setting} in ")), "{line}");
        // A flag decides between two of a weaker source.
        let given = Given::new().file(&both).flag(&file_setting, path);
        assert_eq!(read(given, name), "from-the-file");
        let printed = Given::new().env(env, "from-the-env").flag(&file_setting, path).resolve();
        let printed = printed.to_string();
        let line = printed.lines().find(|line| line.split(' ').next() == Some(env)).unwrap();
        assert!(line.ends_with(&format!("environment, overridden by {file_env}")), "{line}");
    }
}

#[test]
fn addresses_of_nodes_may_be_written_as_urls() {
    let members = "1=http://a:9000, 2=b:9000/mcp,3=http://[::1]:9002/";
    let config = Given::new().flag("members", members).resolve().config;
    let members: Vec<String> = config.members.values().map(ToString::to_string).collect();
    assert_eq!(members, ["a:9000", "b:9000", "[::1]:9002"]);
    let line = Given::new().flag("members", "1=https://a:9000").line();
    assert!(line.contains("peers do not use TLS"), "{line}");
    for url in ["a:8000", "http://a:8000", "http://a:8000/mcp", "http://a:8000/mcp/"] {
        let config = Given::new().flag("advertise_url", url).load();
        assert_eq!(config.advertise_url.as_deref(), Some("http://a:8000/mcp"), "{url}");
    }
}

#[test]
fn print_config_shows_every_setting_and_its_source() {
    let printed = Given::new().env("SIDECAR_PORT", "81").flag("log", "warn").resolve().to_string();
    assert_eq!(printed.lines().count(), SETTINGS.len());
    for setting in SETTINGS {
        assert!(printed.lines().any(|line| line.starts_with(setting.env)), "{}", setting.env);
    }
    let line = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("SIDECAR_PORT"), "SIDECAR_PORT 81 environment");
    assert_eq!(line("SIDECAR_LOG "), "SIDECAR_LOG warn flag");
    assert_eq!(line("SIDECAR_NODE_ID"), "SIDECAR_NODE_ID (not set) default");
}

#[test]
fn the_files_that_people_copy_are_valid() -> Result<(), ConfigError> {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a-secret-of-the-test").unwrap();
    let secret = secret.path().to_str().unwrap();
    for folder in ["one-machine", "three-machines"] {
        let mut members = BTreeSet::new();
        for id in 1..=3 {
            let path = Path::new(REPOSITORY).join(format!("cluster/{folder}/node{id}.toml"));
            let mut given = Given::new();
            given.sources.file = Some(path);
            if folder == "three-machines" {
                given = given.flag("token_file", secret).flag("cluster_secret_file", secret);
            }
            let config = Config::load(&given.sources)?;
            assert_eq!(config.state_backend, Backend::Raft);
            assert_eq!(config.node_id, Some(id));
            let url = config.advertise_url.unwrap();
            assert!(url.ends_with(&format!(":{}/mcp", config.port)), "{url}");
            members.insert(format!("{:?} {}", config.members, config.cluster_name));
        }
        assert_eq!(members.len(), 1, "the nodes of {folder} do not name the same members");
    }
    Ok(())
}
