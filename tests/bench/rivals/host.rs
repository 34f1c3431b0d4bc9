//! What the machine says about the processes under load, and how fast it is itself.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use crate::Result;
use crate::figures::percentile;
use crate::servers::data_dir;

/// How often the probes try.
const TRIES: usize = 500;

/// The unit in which Linux tells programs a process's time and what a disk has written.
const TICK: Duration = Duration::from_millis(10);
const SECTOR_BYTES: u64 = 512;

/// Where `/proc/PID/stat` tells, after the name, what a process has used, and what its
/// children have that have ended: as a program's own code, and in the kernel.
const OWN: [usize; 2] = [11, 12];
const OF_CHILDREN: [usize; 2] = [13, 14];

/// What the processes of a system have used since they began, and the whole machine.
pub struct Usage {
    /// Of the processors' time, by these processes.
    pub cpu: Duration,
    /// By the load generators, once they have ended.
    pub generators: Duration,
    /// By everybody: the two, and whatever else runs.
    pub busy: Duration,
    /// Written to the disk below the data, by whomever. What the system counts for a
    /// process would not do: it counts whole folios of the page cache, which can have
    /// megabytes.
    pub device_bytes: u64,
}

/// What no program on this machine can be faster than.
pub struct Limits {
    /// A write of 256 bytes with `fdatasync`, into a file that has them already.
    pub sync: Duration,
    /// There and back over loopback, between two threads.
    pub round_trip: Duration,
}

impl Usage {
    pub fn of(pids: &[u32]) -> Result<Usage> {
        let mut cpu = Duration::ZERO;
        for pid in pids {
            cpu += cpu_of(*pid, OWN)?;
        }
        let generators = cpu_of(std::process::id(), OF_CHILDREN)?;
        Ok(Usage { cpu, generators, busy: busy()?, device_bytes: device_bytes()? })
    }

    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            cpu: self.cpu - before.cpu,
            generators: self.generators - before.generators,
            busy: self.busy.saturating_sub(before.busy),
            device_bytes: self.device_bytes - before.device_bytes,
        }
    }
}

/// A time in a process's own code and in the kernel, by where it is told.
fn cpu_of(pid: u32, [code, kernel]: [usize; 2]) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may have spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u32> { Ok(fields.get(at).ok_or("no times")?.parse()?) };
    Ok(TICK * (ticks(code)? + ticks(kernel)?))
}

/// The time in which the processors were not idle, or belonged to another machine.
fn busy() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().ok_or("no processors")?;
    let ticks: Vec<u32> = all.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, waiting for a disk, interrupts, and stolen.
    let [user, nice, system, _, _, hard, soft, stolen, ..] = ticks[..] else {
        return Err("no times of the processors".into());
    };
    Ok(TICK * (user + nice + system + hard + soft + stolen))
}

/// What has been written to the disk on which the data are.
fn device_bytes() -> Result<u64> {
    let device = std::fs::metadata(data_dir())?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(stat) = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")) else {
        // A file system without a disk of its own.
        return Ok(0);
    };
    let written: u64 = stat.split_whitespace().nth(6).ok_or("no sectors written")?.parse()?;
    Ok(written * SECTOR_BYTES)
}

/// Measures the machine.
pub fn probe() -> Result<Limits> {
    Ok(Limits { sync: sync()?, round_trip: round_trip()? })
}

fn sync() -> Result<Duration> {
    let file = tempfile::tempfile_in(data_dir())?;
    file.write_all_at(&vec![0; TRIES * 256], 0)?;
    file.sync_all()?;
    median(|at| {
        file.write_all_at(&[1; 256], at as u64 * 256)?;
        Ok(file.sync_data()?)
    })
}

fn round_trip() -> Result<Duration> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut here = TcpStream::connect(listener.local_addr()?)?;
    let (mut there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while there.read_exact(&mut byte).and_then(|()| there.write_all(&byte)).is_ok() {}
    });
    let median = median(|_| {
        here.write_all(&[1])?;
        Ok(here.read_exact(&mut [0])?)
    });
    drop(here);
    echo.join().map_err(|_| "the probe of loopback has failed")?;
    median
}

fn median(mut attempt: impl FnMut(usize) -> Result<()>) -> Result<Duration> {
    let mut took = Vec::with_capacity(TRIES);
    for at in 0..TRIES {
        let began = Instant::now();
        attempt(at)?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(percentile(&took, 50))
}
