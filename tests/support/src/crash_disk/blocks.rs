//! What a crash disk holds: what was synced, what was written since, and, once
//! power is gone, what is left of both.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::Errno;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The unit in which the disk remembers what is not synced.
pub const SECTOR_BYTES: u64 = 512;

/// When and how power goes.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Writes that the disk still takes.
    pub writes: u64,
    /// Decides which blocks are kept.
    pub seed: u64,
    /// Of the blocks not synced, the part that is kept.
    pub keep_percent: u32,
    /// The size of a block that is kept or lost whole.
    pub tear_bytes: u64,
}

/// What the disk holds.
#[derive(Default)]
pub struct Blocks {
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    pending: BTreeMap<u64, [u8; SECTOR_BYTES as usize]>,
    pub cut: Option<Cut>,
    /// What is left after the cut.
    pub image: Option<Vec<u8>>,
    /// The next sync tells the one, waits for the other, and fails.
    pub failing: Option<(Sender<()>, Receiver<()>)>,
    /// So many syncs fail from now on.
    pub failing_syncs: u32,
    /// Nothing on this disk is needed any more.
    pub forgets: bool,
}

impl Blocks {
    /// A disk with this content, all of it synced.
    pub fn new(durable: Vec<u8>) -> Self {
        Self { durable, ..Self::default() }
    }

    /// What a read finds: written or synced.
    pub fn read(&self, at: u64, size: u64) -> Vec<u8> {
        let end = at + size;
        let mut bytes = self.durable[at as usize..end as usize].to_vec();
        for (sector, content) in self.pending.range(at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)) {
            let from = sector * SECTOR_BYTES;
            let (low, high) = (from.max(at), (from + SECTOR_BYTES).min(end));
            bytes[(low - at) as usize..(high - at) as usize]
                .copy_from_slice(&content[(low - from) as usize..(high - from) as usize]);
        }
        bytes
    }

    /// A write, which may be the one at which power goes.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        if let Some(cut) = &mut self.cut
            && self.image.is_none()
        {
            cut.writes = cut.writes.saturating_sub(1);
            if cut.writes == 0 {
                self.lose_power();
            }
        }
        let end = at + bytes.len() as u64;
        let mut from = at;
        while from < end {
            let sector = from / SECTOR_BYTES;
            let start = sector * SECTOR_BYTES;
            let to = (start + SECTOR_BYTES).min(end);
            let durable = &self.durable[start as usize..(start + SECTOR_BYTES) as usize];
            let content = self.pending.entry(sector).or_insert_with(|| {
                durable.try_into().expect("the disk is a whole number of sectors")
            });
            content[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            from = to;
        }
    }

    /// Makes what was written durable.
    pub fn sync(&mut self) -> Result<(), Errno> {
        if self.forgets {
            return Ok(());
        }
        if self.image.is_some() {
            return Err(Errno::EIO);
        }
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            return Err(Errno::EIO);
        }
        for (sector, content) in std::mem::take(&mut self.pending) {
            let from = (sector * SECTOR_BYTES) as usize;
            self.durable[from..from + SECTOR_BYTES as usize].copy_from_slice(&content);
        }
        Ok(())
    }

    /// Decides what is left; a second time changes nothing.
    pub fn lose_power(&mut self) {
        if self.image.is_some() {
            return;
        }
        let default = Cut { writes: 0, seed: 0, keep_percent: 0, tear_bytes: 4096 };
        let cut = self.cut.unwrap_or(default);
        let mut image = self.durable.clone();
        let mut rng = StdRng::seed_from_u64(cut.seed);
        let mut block = (u64::MAX, false);
        for (sector, content) in &self.pending {
            let number = sector * SECTOR_BYTES / cut.tear_bytes;
            if number != block.0 {
                block = (number, rng.random_range(0..100) < cut.keep_percent);
            }
            if block.1 {
                let from = (sector * SECTOR_BYTES) as usize;
                image[from..from + SECTOR_BYTES as usize].copy_from_slice(content);
            }
        }
        self.image = Some(image);
    }
}

/// A test that panicked elsewhere must still be able to unmount.
pub fn lock(blocks: &Mutex<Blocks>) -> MutexGuard<'_, Blocks> {
    blocks.lock().unwrap_or_else(PoisonError::into_inner)
}
