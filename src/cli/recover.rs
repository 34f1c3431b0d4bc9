//! `recover`: one surviving node's folder as a SQLite file, when a majority of
//! its cluster is lost for good. How a state is read out of the folder is
//! [`crate::store::raft::offline::recover`]'s.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures::StreamExt;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Failure;
use super::progress::Progress;
use crate::store::export::{Export, Part, StoreImport};
use crate::store::raft::offline::recover::{Recovered, RecoveryReport};
use crate::store::sqlite::SqliteImport;

/// What lies beside the file until that is whole.
const SCRATCH_SUFFIX: &str = ".recovering";

/// Turn one surviving node's data directory into a SQLite file, when a majority
/// of the nodes is lost for good
///
/// The directory is not changed, and no node may run on it. The file is one
/// that the program serves with STATE_BACKEND=sqlite. It holds every entry of
/// that node's log; what the lost nodes acknowledged and this one never
/// received cannot be had from it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The surviving node's SIDECAR_DATA_DIR
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The file to write; there must be none yet
    #[arg(long, value_name = "FILE")]
    to_sqlite: PathBuf,
}

/// Recovers, and says how far.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = std::path::absolute(&args.to_sqlite).map_err(Failure::usage)?;
    if file.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{}: is there already", file.display())));
    }
    if is_inside(&file, &args.data_dir) {
        let why = "lies in the data directory, which is not changed";
        return Err(Failure::usage(format!("{}: {why}", file.display())));
    }
    let scratch = Scratch::make(&file)?;
    let recovered = Recovered::read(&args.data_dir, &scratch.0).await.map_err(Failure::run)?;
    let report = recovered.report().clone();
    let unfinished = scratch.0.join("state.db");
    let (export, reading) = recovered.export();
    let filled = fill(&unfinished, export).await;
    // It uses the scratch folder until it has ended.
    let _ = reading.await;
    filled?;
    name(&unfinished, &file).map_err(|error| in_file(&file, error))?;
    drop(scratch);
    print!("{}", account(&report, &file));
    Ok(ExitCode::SUCCESS)
}

/// Whether `file` would lie in `dir`, by whatever names.
fn is_inside(file: &Path, dir: &Path) -> bool {
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    dir.canonicalize().is_ok_and(|dir| folder.is_some_and(|folder| folder.starts_with(dir)))
}

async fn fill(file: &Path, export: Export) -> Result<(), Failure> {
    let Export { meta, mut parts } = export;
    let events = meta.revision.0 - meta.anchor.revision.0;
    let import = SqliteImport::begin(file, meta, false).map_err(Failure::run)?;
    let mut import: Box<dyn StoreImport> = Box::new(import);
    let progress = Progress::of_number("recovering events");
    progress.total(events);
    let mut done = 0;
    while let Some(some) = parts.next().await {
        let some = some.map_err(Failure::run)?;
        done += some.iter().filter(|part| matches!(part, Part::Event(_))).count() as u64;
        import.take(some).await.map_err(Failure::run)?;
        progress.at(done);
    }
    import.finish().await.map_err(Failure::run)
}

/// Gives a whole file its name, unless somebody else has it by now.
fn name(unfinished: &Path, file: &Path) -> io::Result<()> {
    // Not yet in the file, it would stay behind in this folder.
    let log = unfinished.with_extension("db-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Err(io::Error::other("SQLite left its log unmerged"));
    }
    File::open(unfinished)?.sync_all()?;
    renameat_with(CWD, unfinished, CWD, file, RenameFlags::NOREPLACE)?;
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// What a person must know of what was recovered.
fn account(report: &RecoveryReport, file: &Path) -> String {
    let meta = &report.meta;
    let snapshot = match report.snapshot_index {
        Some(index) => format!("a snapshot of index {index} and the log behind it"),
        None => "the log".to_owned(),
    };
    let mut lines = vec![
        format!("node {} of cluster '{}': {snapshot}", report.node_id, report.cluster_name),
        format!("reached: index {}, term {}", report.index, report.term),
        format!("committed, as far as this node knew: index {}", report.committed_index),
        match report.index.saturating_sub(report.committed_index) {
            0 => "not known to be committed: nothing".to_owned(),
            more => format!(
                "not known to be committed: {more}, in the file too, since callers may have been \
                 answered; none was told that nothing was written"
            ),
        },
        format!("state: revision {}, chain {}", meta.revision, meta.chain),
    ];
    lines.push(match report.events_missing {
        0 => format!("history: whole, {} events", meta.revision.0 - meta.anchor.revision.0),
        missing => format!(
            "history: from event {} on; {missing} older ones are not on this node",
            meta.anchor.revision.next()
        ),
    });
    if report.torn {
        lines.push("the log ended in a record that was cut; nobody was answered for it".into());
    }
    lines.push(format!("written: {}", file.display()));
    lines.push(format!(
        "later writes may be missing: what the cluster acknowledged after index {} and this node \
         did not receive is not in the file",
        report.index
    ));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A folder beside the file, on the same disk; removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(file: &Path) -> Result<Scratch, Failure> {
        let mut path: OsString = file.as_os_str().to_owned();
        path.push(SCRATCH_SUFFIX);
        let path = PathBuf::from(path);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Scratch(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::run(format!(
                    "{}: is there already; remove it, unless a recovery is still at work",
                    path.display()
                )))
            }
            Err(error) => Err(in_file(&path, error)),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("mcp-state-sidecar: {}: not removed: {error}", self.0.display());
        }
    }
}

fn in_file(path: &Path, error: impl Display) -> Failure {
    Failure::run(format!("{}: {error}", path.display()))
}
