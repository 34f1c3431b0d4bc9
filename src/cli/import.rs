//! `import`: reads the whole state from a file into the store that the settings name. It is
//! imported completely or not at all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::bytes::ByteSource;
use super::failure::CommandFailure;
use super::flags::SettingFlags;
use super::output::{print_notes, state_summary};
use super::progress::Progress;
use super::runtime::block_on;
use crate::config::{Config, ResolvedConfig};
use crate::export::{ExportCounts, ExportDecoder, ExportHeader};
use crate::server::export_import;
use crate::store::export::StoreImport;

/// Import the whole state from a file that `export` wrote
///
/// The state goes into the store that the settings name, such as the file in DB_PATH,
/// completely or not at all. The chain of its history is verified from the first event to
/// the last.
///
/// A store that holds anything is refused. With --replace its state is deleted as soon as
/// the new one is complete. If its revision is higher than that of FILE, later fencing
/// tokens are lower than earlier ones, and the holder of an old token could pass for a new
/// holder: make sure that there is none.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file, compressed or not; `-` means standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the state of the store; no program may serve it meanwhile
    #[arg(long)]
    replace: bool,
    /// Only check the file, and change nothing
    #[arg(long, conflicts_with = "replace")]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the command, with the settings that were given before it.
pub fn run(before: SettingFlags, args: ImportArgs) -> Result<ExitCode, CommandFailure> {
    let resolved = before.then(args.settings).resolve()?;
    let Some(ResolvedConfig { config, notes, .. }) = resolved else {
        return Ok(ExitCode::SUCCESS);
    };
    print_notes(&notes);
    let target = (!args.dry_run).then_some(ImportTarget { config, replace: args.replace });
    block_on(import(args.file, target))
}

/// The store that the state goes into.
struct ImportTarget {
    config: Config,
    replace: bool,
}

/// Checks a whole file before it touches the target, so a file that is refused leaves no
/// trace there. A pipe cannot be read twice, so its content is checked as it arrives.
async fn import(file: PathBuf, target: Option<ImportTarget>) -> Result<ExitCode, CommandFailure> {
    if target.is_some() && file.is_file() {
        read(&file, None).await?;
    }
    let (header, tally) = read(&file, target.as_ref()).await?;
    let done = if target.is_some() { "imported" } else { "complete:" };
    eprintln!("{done} {}", state_summary(&header, &tally));
    Ok(ExitCode::SUCCESS)
}

/// Reads the whole file, into the target if there is one.
async fn read(
    file: &Path,
    target: Option<&ImportTarget>,
) -> Result<(ExportHeader, ExportCounts), CommandFailure> {
    let mut source = ByteSource::open(file).map_err(CommandFailure::run)?;
    let name = source.name.clone();
    let refused = |error| CommandFailure::run(format!("{name}: {error}"));
    let mut reader = ExportDecoder::new();
    let mut import: Option<Box<dyn StoreImport>> = None;
    let what = if target.is_some() { "importing" } else { "checking" };
    let progress = Progress::of_bytes(what, source.size);
    while let Some(bytes) = source.next().await {
        let mut parts = Vec::new();
        reader.feed(&bytes.map_err(CommandFailure::run)?, &mut parts).map_err(refused)?;
        if let (None, Some(target), Some(header)) = (&import, target, reader.header()) {
            let meta = header.meta.clone();
            import = Some(export_import::begin_import(&target.config, meta, target.replace).await?);
        }
        if let Some(import) = &mut import {
            import.take(parts).await.map_err(CommandFailure::run)?;
        }
        progress.set(source.read());
    }
    let (header, tally) = reader.finish().map_err(refused)?;
    if let Some(import) = import {
        import.finish().await.map_err(CommandFailure::run)?;
    }
    drop(progress);
    Ok((header, tally))
}
