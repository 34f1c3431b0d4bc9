//! `export`: the whole state, from what the settings name or from a running
//! node, checked as it passes, into a file.

use std::fs::{self, Metadata};
use std::future::pending;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout};

use super::bytes::Sink;
use super::flags::SettingFlags;
use super::progress::Progress;
use super::remote::{self, Token};
use super::{Failure, block_on, moved};
use crate::config::{Backend, Config, Resolved};
use crate::export::{ExportCounts, Header, Origin, Reader, encode};
use crate::proto::sidecar::ExportRequest;
use crate::server::transfer;

/// How long it may take until a state begins to come out.
const BEGIN_WAIT: Duration = Duration::from_secs(30);

/// Write the whole state to a file, to be imported anywhere
///
/// The state is that of one moment: revisions, tokens, deadlines, remembered
/// requests, history and chain. Whoever serves it goes on meanwhile. Without
/// --node it is what the settings name, such as the file of DB_PATH.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; `-` is standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Ask a running node, at its gRPC address; needs the token that may administer
    #[arg(long, value_name = "HOST:PORT")]
    node: Option<String>,
    /// Compress with zstd, as a FILE whose name ends with .zst always is
    #[arg(long)]
    zstd: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// The stream of an export, its errors as lines for the user.
type Stream = BoxStream<'static, Result<Bytes, String>>;

/// Runs the command, with the settings that stood before it.
pub fn run(before: SettingFlags, args: Args) -> Result<ExitCode, Failure> {
    let settings = before.then(args.settings);
    let compressed = args.zstd || args.file.extension().is_some_and(|ending| ending == "zst");
    match args.node {
        Some(node) => {
            // What else a node would need does not matter for asking one.
            let resolved = Resolved::from_sources(&settings.into_sources());
            let config = resolved.map_err(Failure::usage)?.config;
            let token = Token::new(config.admin_token.or(config.token)).map_err(Failure::usage)?;
            block_on(async {
                let stream = from_node(&node, &token).await.map_err(Failure::run)?;
                export(stream, args.file, compressed).await
            })
        }
        None => {
            let Some(config) = settings.settle()? else { return Ok(ExitCode::SUCCESS) };
            if config.state_backend == Backend::Sqlite && is_part_of(&config.db_path, &args.file) {
                let file = args.file.display();
                return Err(Failure::usage(format!("{file}: is what is to be exported")));
            }
            block_on(async {
                let stream = from_settings(&config).await?;
                export(stream, args.file, compressed).await
            })
        }
    }
}

/// Whether `file` is the database at `path`, its log or the log's index, under
/// whatever name: the export would take its place.
fn is_part_of(path: &Path, file: &Path) -> bool {
    let same = |suffix: &str| {
        let mut part = path.as_os_str().to_owned();
        part.push(suffix);
        let identity = |found: Metadata| (found.dev(), found.ino());
        let (part, file) = (fs::metadata(part).map(identity), fs::metadata(file).map(identity));
        part.is_ok_and(|part| file.is_ok_and(|file| file == part))
    };
    ["", "-wal", "-shm"].into_iter().any(same)
}

async fn from_node(node: &str, token: &Token) -> Result<Stream, String> {
    let plain = remote::plain(node).to_owned();
    let mut client = remote::connect(node).await?;
    let timeout_ms = u32::try_from(BEGIN_WAIT.as_millis()).ok();
    let request = token.on(ExportRequest { timeout_ms });
    let begun = timeout(BEGIN_WAIT + remote::NODE_TIMEOUT, client.export(request)).await;
    let begun = begun.map_err(|_| format!("no answer from {plain} within its time"))?;
    let chunks = begun.map_err(|status| format!("{plain} refuses: {}", status.message()))?;
    let chunks = chunks.into_inner().map(move |chunk| match chunk {
        Ok(chunk) => Ok(chunk.data),
        Err(status) => Err(format!("{plain} has broken off: {}", status.message())),
    });
    Ok(chunks.boxed())
}

async fn from_settings(config: &Config) -> Result<Stream, Failure> {
    let export = transfer::export(config, Instant::now() + BEGIN_WAIT).await?;
    let bytes = encode(export, Origin::here(config.state_backend.as_str()));
    Ok(bytes.map(|bytes| bytes.map_err(|error| error.to_string())).boxed())
}

/// Writes the stream down and reads it on the way: what is kept can be
/// imported. Interrupted, it leaves nothing.
async fn export(stream: Stream, file: PathBuf, compressed: bool) -> Result<ExitCode, Failure> {
    // Caught from before there is anything to take away.
    let interrupted = interruption();
    let mut sink = Sink::open(&file, compressed).map_err(Failure::run)?;
    let written = tokio::select! {
        written = write(stream, &mut sink) => written,
        () = interrupted => Err("interrupted; nothing was written".to_owned()),
    };
    let (header, tally) = match written {
        Ok(written) => written,
        Err(line) => {
            sink.give_up().await;
            return Err(Failure::run(line));
        }
    };
    sink.finish().await.map_err(Failure::run)?;
    eprintln!("exported {}", moved(&header, &tally));
    Ok(ExitCode::SUCCESS)
}

async fn write(mut stream: Stream, sink: &mut Sink) -> Result<(Header, ExportCounts), String> {
    let mut reader = Reader::new();
    let mut parts = Vec::new();
    let progress = Progress::of_number("exporting, events");
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        reader.feed(&bytes, &mut parts).map_err(|error| error.to_string())?;
        parts.clear();
        if let Some(header) = reader.header() {
            progress.total(header.meta.revision.0 - header.meta.anchor.revision.0);
            progress.at(reader.tally().events);
        }
        sink.write(bytes).await?;
    }
    reader.finish().map_err(|error| error.to_string())
}

/// Ends with SIGINT or SIGTERM, caught from now on; never, where they cannot be.
fn interruption() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
