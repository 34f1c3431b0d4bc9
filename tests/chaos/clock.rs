//! Wall clocks that can be set while a node runs, by libfaketime.

use std::path::{Path, PathBuf};

/// The clock of one node.
pub struct Clock {
    library: String,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, where the library is there.
    pub fn new(dir: &Path, name: &str) -> Option<Clock> {
        let file = dir.join(format!("{name}.clock"));
        let clock = Clock { library: library()?, file };
        clock.set(0.0);
        Some(clock)
    }

    /// How far it is wrong from now on.
    pub fn set(&self, seconds: f64) {
        std::fs::write(&self.file, format!("{seconds:+.3}s\n")).expect("the clock's file");
    }

    /// What a program needs in its environment to go by it. Its monotonic
    /// clock stays the machine's.
    pub fn environment(&self) -> [(String, String); 4] {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        [
            own("LD_PRELOAD", &self.library),
            own("FAKETIME_TIMESTAMP_FILE", &self.file.to_string_lossy()),
            own("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            own("FAKETIME_NO_CACHE", "1"),
        ]
    }
}

fn library() -> Option<String> {
    let of =
        |dir: PathBuf| Some(dir.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let below = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| of(entry.ok()?.path()));
    let mut found =
        ["/usr/lib", "/usr/lib64"].map(PathBuf::from).into_iter().filter_map(of).chain(below);
    Some(found.next()?.to_string_lossy().into_owned())
}
