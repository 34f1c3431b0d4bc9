//! `recover`: makes a SQLite file from the data directory of one surviving node, when a
//! majority of its cluster is lost for good. [`crate::store::raft::offline::recover`] reads
//! the state from the directory.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures::StreamExt;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::failure::CommandFailure;
use super::progress::Progress;
use crate::store::export::{Export, Part, StoreImport};
use crate::store::raft::offline::recover::{Recovered, RecoveryReport};
use crate::store::sqlite::{self, SqliteImport};

/// The suffix of the scratch directory, which is beside the file until that is complete.
const SCRATCH_SUFFIX: &str = ".recovering";

/// Make a SQLite file from the data directory of one surviving node, when a majority of the
/// nodes is lost for good
///
/// The directory is not changed, and no node may run on it. The program can serve the file
/// with STATE_BACKEND=sqlite. It contains every entry of that node's log. Writes that the
/// lost nodes acknowledged and this node never received are lost.
#[derive(Debug, clap::Args)]
pub struct RecoverArgs {
    /// The SIDECAR_DATA_DIR of the surviving node
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The file to write, which must not exist yet
    #[arg(long, value_name = "FILE")]
    to_sqlite: PathBuf,
}

/// Runs the command.
pub async fn run(args: RecoverArgs) -> Result<ExitCode, CommandFailure> {
    let file = std::path::absolute(&args.to_sqlite).map_err(CommandFailure::usage)?;
    if file.symlink_metadata().is_ok() {
        return Err(CommandFailure::usage(format!("{}: exists already", file.display())));
    }
    if is_inside(&file, &args.data_dir) {
        let why = "is in the data directory, which must not be changed";
        return Err(CommandFailure::usage(format!("{}: {why}", file.display())));
    }
    let scratch = ScratchDir::make(&file)?;
    let recovered =
        Recovered::read(&args.data_dir, &scratch.0).await.map_err(CommandFailure::run)?;
    let report = recovered.report().clone();
    let unfinished = scratch.0.join("state.db");
    let (export, reading) = recovered.export();
    let filled = fill(&unfinished, export).await;
    // The reader uses the scratch directory until it has ended.
    let _ = reading.await;
    filled?;
    rename(&unfinished, &file).map_err(|error| in_file(&file, error))?;
    drop(scratch);
    print!("{}", summary(&report, &file));
    Ok(ExitCode::SUCCESS)
}

/// Whether `file` would be inside `dir`, under any name.
fn is_inside(file: &Path, dir: &Path) -> bool {
    // Folders that do not exist yet will be created.
    let parent = file.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
    dir.canonicalize().is_ok_and(|dir| parent.is_some_and(|parent| parent.starts_with(dir)))
}

async fn fill(file: &Path, export: Export) -> Result<(), CommandFailure> {
    let Export { meta, mut parts } = export;
    let events = meta.revision.0 - meta.anchor.revision.0;
    let import = SqliteImport::begin(file, meta, false).map_err(CommandFailure::run)?;
    let mut import: Box<dyn StoreImport> = Box::new(import);
    let progress = Progress::of_number("recovering events");
    progress.set_total(events);
    let mut done = 0;
    while let Some(page) = parts.next().await {
        let page = page.map_err(CommandFailure::run)?;
        done += page.iter().filter(|part| matches!(part, Part::Event(_))).count() as u64;
        import.take(page).await.map_err(CommandFailure::run)?;
        progress.set(done);
    }
    import.finish().await.map_err(CommandFailure::run)
}

/// Gives a complete file its name, unless another file has that name by now.
fn rename(unfinished: &Path, file: &Path) -> io::Result<()> {
    // Writes that are only in the log would stay behind in the scratch directory.
    let log = unfinished.with_extension("db-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Err(io::Error::other("SQLite did not merge its log into the file"));
    }
    File::open(unfinished)?.sync_all()?;
    renameat_with(CWD, unfinished, CWD, file, RenameFlags::NOREPLACE)?;
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Tells a person what was recovered and what may be missing.
fn summary(report: &RecoveryReport, file: &Path) -> String {
    let meta = &report.meta;
    let snapshot = match report.snapshot_index {
        Some(index) => format!("a snapshot up to index {index} and the log after it"),
        None => "the log".to_owned(),
    };
    let mut lines = vec![
        format!("node {} of cluster '{}': {snapshot}", report.node_id, report.cluster_name),
        format!("reached: index {}, term {}", report.index, report.term),
        format!("committed, as far as this node knew: index {}", report.committed_index),
        match report.index.saturating_sub(report.committed_index) {
            0 => "not known to be committed: nothing".to_owned(),
            more => format!(
                "not known to be committed: {more}, which are in the file too, because callers may \
                 have received an answer for them"
            ),
        },
        format!("state: revision {}, chain {}", meta.revision, meta.chain),
    ];
    lines.push(match report.events_missing {
        0 => format!("history: complete, {} events", meta.revision.0 - meta.anchor.revision.0),
        missing => format!(
            "history: from event {} on; {missing} older events are not on this node",
            meta.anchor.revision.next()
        ),
    });
    if report.torn {
        lines
            .push("the log ended in an incomplete record, for which no caller was answered".into());
    }
    lines.push(format!("written: {}", file.display()));
    lines.push(format!(
        "later writes may be missing: what the cluster acknowledged after index {} and this node \
         did not receive is not in the file",
        report.index
    ));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A directory beside the file, on the same disk, which is removed when this is dropped.
struct ScratchDir(PathBuf);

impl ScratchDir {
    fn make(file: &Path) -> Result<ScratchDir, CommandFailure> {
        sqlite::create_folder(file).map_err(CommandFailure::run)?;
        let mut path: OsString = file.as_os_str().to_owned();
        path.push(SCRATCH_SUFFIX);
        let path = PathBuf::from(path);
        match fs::create_dir(&path) {
            Ok(()) => Ok(ScratchDir(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CommandFailure::run(format!(
                    "{}: exists already; remove it, unless another recovery is running",
                    path.display()
                )))
            }
            Err(error) => Err(in_file(&path, error)),
        }
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("mcp-state-sidecar: {}: cannot be removed: {error}", self.0.display());
        }
    }
}

fn in_file(path: &Path, error: impl Display) -> CommandFailure {
    CommandFailure::run(format!("{}: {error}", path.display()))
}
