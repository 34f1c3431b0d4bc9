//! Snapshots: the whole state as of one log entry, in one file.
//!
//! A snapshot is built from persistent tables beside the writes that go on,
//! synced with its folder before openraft hears of it (the log behind it is
//! purged then), and proves itself by its digest when it is read
//! ([`super::file`]). Its content is a sequence of records, each behind
//! its length: first what it covers, then the rows.

use std::collections::BTreeSet;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use openraft::alias::{SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::storage::RaftSnapshotBuilder;
use prost::Message;

use super::file::{SnapshotFile, SnapshotWriter};
use crate::codec::{self, StateRecord};
use crate::machine::meta::Counts;
use crate::machine::{self, Row};
use crate::proto::record;
use crate::store::raft::consensus::applied::AppliedState;
use crate::store::raft::consensus::entry::{LogId, Membership};
use crate::store::raft::consensus::types::{NodeId, TypeConfig};
use crate::store::raft::history::History;
use crate::store::raft::host::Environment;
use crate::store::tables::Tables;

/// The name under which a node keeps its newest snapshot.
const EXTENSION: &str = "snapshot";

/// No record is longer: a row is bounded by the largest value and its names.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// Openraft's description of a snapshot.
pub type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
/// A snapshot as openraft passes it around.
pub type Snapshot = SnapshotOf<TypeConfig, SnapshotFile>;

/// The folder that holds the node's snapshot: one, and the next while it is
/// being made.
#[derive(Clone, Debug)]
pub struct SnapshotDir {
    environment: Environment,
    folder: PathBuf,
}

impl SnapshotDir {
    /// The snapshots of a folder, which exists.
    pub fn new(environment: &Environment, folder: PathBuf) -> SnapshotDir {
        SnapshotDir { environment: environment.clone(), folder }
    }

    /// The newest whole snapshot, if there is one.
    ///
    /// # Errors
    /// `InvalidData` when the newest is damaged: an older one would leave a
    /// gap before the log, so none is taken in its place.
    pub fn newest(&self) -> io::Result<Option<Snapshot>> {
        let Some(path) = self.files()?.pop() else { return Ok(None) };
        let covers = |file: &SnapshotFile| {
            read_cover(&mut BufReader::new(file.reader()?)).map(|(meta, _retired)| meta)
        };
        let found = SnapshotFile::open(&self.environment, &path)
            .and_then(|file| Ok(Snapshot { meta: covers(&file)?, snapshot: file }));
        found.map(Some).map_err(|error| refused(&self.environment, &path, &error))
    }

    /// Writes the snapshot of `state`, durable on return.
    pub(crate) fn write(
        &self,
        state: &AppliedState,
        membership: &StoredMembershipOf<TypeConfig>,
    ) -> io::Result<Snapshot> {
        let meta = SnapshotMeta { last_log_id: state.log_id, last_membership: membership.clone() };
        let mut writer =
            SnapshotWriter::create(&self.environment, self.path(state.log_id.as_ref()))?;
        write_record(&mut writer, &cover(&meta, &state.retired).encode_to_vec())?;
        // Whoever reads the rows counts them.
        let counts = Counts::default();
        let position = StateRecord::Meta(machine::Meta { counts, ..state.tables.meta().clone() });
        let rows = state.tables.rows().map(|row| StateRecord::Row(Row::clone(row)));
        for record in std::iter::once(position).chain(rows) {
            write_record(&mut writer, &codec::encode_state_record(&record))?;
        }
        let file = writer.finish()?;
        self.keep_newest()?;
        Ok(Snapshot { meta, snapshot: file })
    }

    /// Makes a received file the node's snapshot, durable on return.
    pub fn adopt(&self, meta: &SnapshotMeta, file: SnapshotFile) -> io::Result<SnapshotFile> {
        let path = self.path(meta.last_log_id.as_ref());
        let file = if file.path == path { file } else { file.rename(path)? };
        self.keep_newest()?;
        Ok(file)
    }

    /// Names sort as the entries that they cover.
    fn path(&self, last: Option<&LogId>) -> PathBuf {
        let (term, index) = last.map_or((0, 0), |id| (id.leader_id.term, id.index));
        self.folder.join(format!("{index:020}-{term:020}.{EXTENSION}"))
    }

    /// The node's own snapshots, oldest first: not those on their way in, which
    /// are a peer's until they are adopted.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in self.environment.disk.read_dir(&self.folder)? {
            let own = path.file_name().and_then(|name| name.to_str()).is_some_and(is_own);
            files.extend(own.then_some(path));
        }
        files.sort();
        Ok(files)
    }

    /// A build that ends after a newer snapshot was adopted removes what it
    /// built itself: the log behind the newer one is gone.
    fn keep_newest(&self) -> io::Result<()> {
        let mut files = self.files()?;
        files.pop();
        for path in files {
            match self.environment.disk.remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether a file has the name that [`SnapshotDir::path`] gives.
fn is_own(name: &str) -> bool {
    let numbers = name.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
    numbers.is_some_and(|numbers| numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// Reads the state that a snapshot holds, checking every byte.
///
/// # Errors
/// `InvalidData` when the content is damaged, or of a newer version; names the
/// file.
pub fn read(file: &SnapshotFile) -> io::Result<AppliedState> {
    read_content(file).map_err(|error| refused(&file.environment, &file.path, &error))
}

fn read_content(file: &SnapshotFile) -> io::Result<AppliedState> {
    /// Fewer system calls for rows that are small.
    const BUFFER_BYTES: usize = 256 << 10;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file.reader()?);
    let (covered, retired) = read_cover(&mut reader)?;
    let StateRecord::Meta(meta) = read_state(&mut reader)?.ok_or_else(|| invalid("no rows"))?
    else {
        return Err(invalid("snapshot does not begin with the state's position"));
    };
    // Rows go into the tables as they are read; the first fault ends them.
    let mut fault = None;
    let records = std::iter::from_fn(|| {
        read_state(&mut reader).unwrap_or_else(|error| {
            fault = Some(error);
            None
        })
    });
    let rows = records.filter_map(|record| match record {
        StateRecord::Row(row) => Some(row),
        StateRecord::Meta(_) => None,
    });
    let tables = Tables::restore(meta, rows);
    match fault {
        Some(fault) => Err(fault),
        None => Ok(AppliedState { tables, log_id: covered.last_log_id, retired: retired.into() }),
    }
}

fn read_state(reader: &mut impl Read) -> io::Result<Option<StateRecord>> {
    let Some(bytes) = read_record(reader)? else { return Ok(None) };
    codec::decode_state_record(&bytes.into()).map(Some).map_err(invalid)
}

/// Builds one snapshot of the state as it was when openraft asked.
pub struct SnapshotBuilder {
    pub(crate) dir: SnapshotDir,
    pub(crate) state: AppliedState,
    pub(crate) membership: StoredMembershipOf<TypeConfig>,
    pub(crate) history: History,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        // Archive first: the log behind the snapshot goes, and with it the
        // only other place on this node that holds these events.
        let revision = self.state.tables.meta().revision;
        self.history.archived(revision).await.map_err(io::Error::other)?;
        let (dir, state) = (self.dir.clone(), self.state.clone());
        let membership = self.membership.clone();
        let environment = dir.environment.clone();
        let writing = environment.blocking(move || dir.write(&state, &membership));
        let snapshot = writing.await?;
        metrics::gauge!("sidecar_raft_snapshot_bytes").set(snapshot.snapshot.bytes as f64);
        Ok(snapshot)
    }
}

fn cover(meta: &SnapshotMeta, retired: &BTreeSet<NodeId>) -> record::SnapshotCover {
    record::SnapshotCover {
        last: meta.last_log_id.as_ref().map(record::LogId::from),
        membership: Some(meta.last_membership.membership().into()),
        membership_at: meta.last_membership.log_id().as_ref().map(record::LogId::from),
        retired: retired.iter().copied().collect(),
    }
}

fn read_cover(reader: &mut impl Read) -> io::Result<(SnapshotMeta, BTreeSet<NodeId>)> {
    let bytes = read_record(reader)?.ok_or_else(|| invalid("snapshot is empty"))?;
    let cover = record::SnapshotCover::decode(&*bytes).map_err(invalid)?;
    let membership = cover.membership.ok_or_else(|| invalid("snapshot has no membership"))?;
    let membership = Membership::try_from(membership).map_err(invalid)?;
    let decided = cover.membership_at.as_ref().map(LogId::from);
    let meta = SnapshotMeta {
        last_log_id: cover.last.as_ref().map(LogId::from),
        last_membership: StoredMembershipOf::<TypeConfig>::new(decided, membership),
    };
    Ok((meta, cover.retired.into_iter().collect()))
}

fn write_record(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(&(bytes.len() as u64).to_be_bytes())?;
    writer.write_all(bytes)
}

/// The next record, or nothing at the content's end.
fn read_record(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length[..1]) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    reader.read_exact(&mut length[1..])?;
    let length = usize::try_from(u64::from_be_bytes(length)).map_err(invalid)?;
    if length > RECORD_BYTES_MAX {
        return Err(invalid(format!("snapshot record of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Why the node cannot go on with a snapshot of its own, and the way out.
/// Content is understood before its digest is reached, so a flipped byte may
/// show as nonsense: the digest tells which it is.
fn refused(environment: &Environment, path: &Path, error: &io::Error) -> io::Error {
    let whole = SnapshotFile::open(environment, path).and_then(|file| file.verify());
    let damaged = whole.is_err_and(|error| error.kind() == ErrorKind::InvalidData);
    let text = match damaged {
        true => format!(
            "snapshot {path:?} is damaged: {error}; this node must not go on with it; \
             start a new node with an empty folder and put it in this one's place: \
             `cluster replace`"
        ),
        false => format!("snapshot {path:?} cannot be used: {error}"),
    };
    io::Error::new(error.kind(), text)
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::raft::consensus::entry::log_id;
    use crate::store::raft::snapshot::file::RECEIVED_PREFIX;

    fn state(index: u64) -> AppliedState {
        AppliedState { log_id: Some(log_id(1, index)), ..AppliedState::default() }
    }

    #[test]
    fn an_older_build_removes_neither_the_newest_nor_one_on_its_way_in() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SnapshotDir::new(&Environment::system(), folder.path().to_owned());
        let membership = StoredMembershipOf::<TypeConfig>::default();
        let coming = folder.path().join(format!("{RECEIVED_PREFIX}2-1.{EXTENSION}"));
        fs::write(&coming, b"still a peer's").unwrap();
        let newer = dir.write(&state(20), &membership).unwrap();
        dir.write(&state(10), &membership).unwrap();
        let newest = dir.newest().unwrap().unwrap();
        assert_eq!(newest.meta, newer.meta);
        assert!(coming.exists(), "a file that a peer sends is not ours to remove");
        dir.write(&state(30), &membership).unwrap();
        assert_eq!(dir.files().unwrap().len(), 1);
    }

    #[test]
    fn every_changed_byte_of_the_newest_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SnapshotDir::new(&Environment::system(), folder.path().to_owned());
        let written =
            dir.write(&AppliedState::default(), &StoredMembershipOf::<TypeConfig>::default());
        let path = written.unwrap().snapshot.path;
        let whole = fs::read(&path).unwrap();
        let reads = || {
            let found = dir.newest()?;
            read(&found.unwrap().snapshot).map(|applied| applied.log_id)
        };
        reads().unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            let refused = reads().expect_err("a byte was changed").to_string();
            let told = refused.contains(path.to_str().unwrap()) && refused.contains("replace");
            assert!(told, "byte {at}: {refused}");
        }
    }
}
