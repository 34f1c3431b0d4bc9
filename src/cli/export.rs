//! `export`: writes the whole state to a file. It comes from the store that the settings
//! name or from a running node, and is checked on the way.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use tokio::time::{Instant, timeout};

use super::bytes::ByteSink;
use super::failure::CommandFailure;
use super::flags::SettingFlags;
use super::grpc_client::{self, BearerToken};
use super::output::{print_notes, state_summary};
use super::progress::Progress;
use super::runtime::block_on;
use super::tls::TlsOptions;
use crate::config::{Backend, Config, NodeAddress, ResolvedConfig};
use crate::export::{ExportCounts, ExportDecoder, ExportHeader, ExportOrigin, encode};
use crate::proto::sidecar::ExportRequest;
use crate::server::export_import;
use crate::server::signals::StopSignals;

/// How long it may take until the first bytes of a state arrive.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Write the whole state to a file that any other store can import
///
/// The state is that of one moment, with revisions, tokens, deadlines, remembered requests,
/// history and chain. A program that serves it goes on meanwhile. Without --node, the state
/// is that of the store that the settings name, such as the file in DB_PATH.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The file to write; `-` means standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Export from a running node at this gRPC address, HOST:PORT or a URL; needs the token that allows administration
    #[arg(long, value_name = "ADDRESS")]
    node: Option<NodeAddress>,
    #[command(flatten)]
    tls: TlsOptions,
    /// Compress with zstd; a FILE whose name ends with .zst is always compressed
    #[arg(long)]
    zstd: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// The bytes of an export. Errors are lines for the user.
type ExportBytes = BoxStream<'static, Result<Bytes, String>>;

/// Runs the command, with the settings that were given before it.
pub fn run(before: SettingFlags, args: ExportArgs) -> Result<ExitCode, CommandFailure> {
    let settings = before.then(args.settings);
    let compressed = args.zstd || args.file.extension().is_some_and(|ending| ending == "zst");
    match args.node {
        Some(node) => {
            // Only the token is needed, so settings that do not fit together do no harm.
            let resolved = ResolvedConfig::from_sources(&settings.into_sources());
            let ResolvedConfig { config, notes, .. } = resolved.map_err(CommandFailure::usage)?;
            print_notes(&notes);
            let token = BearerToken::new(config.admin_token.or(config.token));
            let token = token.map_err(CommandFailure::usage)?;
            block_on(async {
                let stream =
                    from_node(node, &args.tls, &token).await.map_err(CommandFailure::run)?;
                export(stream, args.file, compressed).await
            })
        }
        None => {
            let Some(resolved) = settings.resolve()? else { return Ok(ExitCode::SUCCESS) };
            print_notes(&resolved.notes);
            let config = resolved.config;
            if config.state_backend == Backend::Sqlite && is_part_of(&config.db_path, &args.file) {
                let file = args.file.display();
                return Err(CommandFailure::usage(format!(
                    "{file}: is part of the database to export"
                )));
            }
            block_on(async {
                let stream = from_settings(&config).await?;
                export(stream, args.file, compressed).await
            })
        }
    }
}

/// Whether `file` is the database at `path`, its log or the index of the log, under any
/// name. The export would overwrite it.
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

async fn from_node(
    node: NodeAddress,
    tls: &TlsOptions,
    token: &BearerToken,
) -> Result<ExportBytes, String> {
    let mut client = grpc_client::connect(&node, tls).await?;
    let timeout_ms = u32::try_from(BEGIN_TIMEOUT.as_millis()).ok();
    let request = token.request(ExportRequest { timeout_ms });
    let begun = timeout(BEGIN_TIMEOUT + grpc_client::NODE_TIMEOUT, client.export(request)).await;
    let begun = begun.map_err(|_| format!("no answer from {node} in time"))?;
    let chunks = match begun {
        Ok(chunks) => chunks,
        Err(status) => return Err(grpc_client::call_failure(&node, tls, &status).await),
    };
    let chunks = chunks.into_inner().map(move |chunk| match chunk {
        Ok(chunk) => Ok(chunk.data),
        Err(status) => {
            Err(format!("the export broke off: {}", grpc_client::status_line(&node, &status)))
        }
    });
    Ok(chunks.boxed())
}

async fn from_settings(config: &Config) -> Result<ExportBytes, CommandFailure> {
    let export = export_import::begin_export(config, Instant::now() + BEGIN_TIMEOUT).await?;
    let bytes = encode(export, ExportOrigin::here(config.state_backend.as_str()));
    Ok(bytes.map(|bytes| bytes.map_err(|error| error.to_string())).boxed())
}

/// Writes the stream to the file and decodes it on the way, so that a file which is kept
/// can be imported. If it is interrupted, no file is left.
async fn export(
    stream: ExportBytes,
    file: PathBuf,
    compressed: bool,
) -> Result<ExitCode, CommandFailure> {
    // Signals are caught before there is a file that they would leave behind.
    let mut signals = StopSignals::listen();
    let interrupted = async {
        match &mut signals {
            Ok(signals) => signals.next().await,
            Err(_) => std::future::pending().await,
        }
    };
    let mut sink = ByteSink::open(&file, compressed).map_err(CommandFailure::run)?;
    let written = tokio::select! {
        written = write(stream, &mut sink) => written,
        () = interrupted => Err("interrupted; nothing was written".to_owned()),
    };
    let (header, tally) = match written {
        Ok(written) => written,
        Err(line) => {
            sink.discard().await;
            return Err(CommandFailure::run(line));
        }
    };
    sink.finish().await.map_err(CommandFailure::run)?;
    eprintln!("exported {}", state_summary(&header, &tally));
    Ok(ExitCode::SUCCESS)
}

async fn write(
    mut stream: ExportBytes,
    sink: &mut ByteSink,
) -> Result<(ExportHeader, ExportCounts), String> {
    let mut reader = ExportDecoder::new();
    let mut parts = Vec::new();
    let progress = Progress::of_number("exporting, events");
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        reader.feed(&bytes, &mut parts).map_err(|error| error.to_string())?;
        parts.clear();
        if let Some(header) = reader.header() {
            progress.set_total(header.meta.revision.0 - header.meta.anchor.revision.0);
            progress.set(reader.counts().events);
        }
        sink.write(bytes).await?;
    }
    reader.finish().map_err(|error| error.to_string())
}
