//! `import`: the whole state out of a file, into what the settings name, all
//! or nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::bytes::Source;
use super::flags::SettingFlags;
use super::progress::Progress;
use super::{Failure, block_on, moved};
use crate::config::Config;
use crate::export::{ExportCounts, Header, Reader};
use crate::server::transfer::{self, TransferError};
use crate::store::export::StoreImport;

/// Take the whole state from a file that `export` wrote
///
/// It goes into what the settings name, such as the file of DB_PATH, whole or
/// not at all. The chain of its history is followed from the first event to the
/// last.
///
/// A target that holds anything is refused. With --replace its state goes,
/// once the new one is whole. Where its revision is higher than that of FILE,
/// fencing tokens fall by that, so that whoever still holds an old one could
/// pass for the new holder: make sure that nobody does.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, compressed or not; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the state that is there; nothing may serve it meanwhile
    #[arg(long)]
    replace: bool,
    /// Check the file and change nothing
    #[arg(long, conflicts_with = "replace")]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the command, with the settings that stood before it.
pub fn run(before: SettingFlags, args: Args) -> Result<ExitCode, Failure> {
    let Some(config) = before.then(args.settings).settle()? else { return Ok(ExitCode::SUCCESS) };
    let target = (!args.dry_run).then_some(Target { config, replace: args.replace });
    block_on(import(args.file, target))
}

/// Where to, if anywhere.
struct Target {
    config: Config,
    replace: bool,
}

/// A file is read whole before the target is touched: where it is refused,
/// there is no file begun that was not there before. What comes in a pipe
/// cannot be read twice, and is judged as it comes.
async fn import(file: PathBuf, target: Option<Target>) -> Result<ExitCode, Failure> {
    if target.is_some() && file.is_file() {
        pass(&file, None).await?;
    }
    let (header, tally) = pass(&file, target.as_ref()).await?;
    let done = if target.is_some() { "imported" } else { "whole:" };
    eprintln!("{done} {}", moved(&header, &tally));
    Ok(ExitCode::SUCCESS)
}

/// Reads it from the beginning to the end, into the target if there is one.
async fn pass(file: &Path, target: Option<&Target>) -> Result<(Header, ExportCounts), Failure> {
    let mut source = Source::open(file).map_err(Failure::run)?;
    let name = source.name.clone();
    let refused = |error| Failure::run(format!("{name}: {error}"));
    let mut reader = Reader::new();
    let mut import: Option<Box<dyn StoreImport>> = None;
    let what = if target.is_some() { "importing" } else { "checking" };
    let progress = Progress::of_bytes(what, source.size);
    while let Some(bytes) = source.next().await {
        let mut parts = Vec::new();
        reader.feed(&bytes.map_err(Failure::run)?, &mut parts).map_err(refused)?;
        if let (None, Some(target), Some(header)) = (&import, target, reader.header()) {
            let meta = header.meta.clone();
            import = Some(transfer::begin_import(&target.config, meta, target.replace).await?);
        }
        if let Some(import) = &mut import {
            import.take(parts).await.map_err(Failure::run)?;
        }
        progress.at(source.read());
    }
    let (header, tally) = reader.finish().map_err(refused)?;
    if let Some(import) = import {
        import.finish().await.map_err(Failure::run)?;
    }
    drop(progress);
    Ok((header, tally))
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Failure {
        match &error {
            TransferError::Unfit(..) | TransferError::Missing(_) => Failure::usage(error),
            TransferError::SqliteImport(import) if import.is_not_empty() => {
                Failure::run(format!("{error}; --replace replaces it"))
            }
            TransferError::RedisImport(import) if import.is_not_empty() => {
                Failure::run(format!("{error}; --replace replaces it"))
            }
            TransferError::Export(_)
            | TransferError::SqliteImport(_)
            | TransferError::Redis(_)
            | TransferError::RedisExport(_)
            | TransferError::RedisImport(_)
            | TransferError::Seed(_) => Failure::run(error),
        }
    }
}
