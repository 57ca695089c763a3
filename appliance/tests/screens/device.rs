//! The program as a process, with a full disk or a switch

use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use appliance::keys;

use crate::counter::{Counter, Store};
use crate::headquarters::POS_SEED;

/// Ignores the signal that a too long file brings, so that the write itself fails, and becomes the program.
const LIMITED: &str = "trap '' XFSZ; exec \"$@\"";

/// Lays a small file system over the data folder, in a view of the files that only this process has.
const MOUNTED: &str = "data=$1 kept=$2; shift 2
    mount -t tmpfs -o size=12m none \"$data\" && cp -a \"$kept/.\" \"$data\" && exec \"$@\"";

/// What the environment names the switch's file by.
const SWITCH: &str = "CUT_AT_SYNC";

/// A library in front of the program's own that ends it at a sync of its disk, as a power cut would.
pub struct Switch {
    library: PathBuf,
    file: PathBuf,
}

impl Switch {
    /// Builds the library with the C compiler of this machine.
    pub fn build(folder: &Path) -> Switch {
        let (source, library) = (folder.join("cut_at_sync.c"), folder.join("cut_at_sync.so"));
        fs::write(&source, include_str!("cut_at_sync.c")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
        assert!(cc.status().unwrap().success());
        Switch { library, file: folder.join("cut") }
    }

    /// Lets so many syncs pass and cuts at the next one.
    pub fn cut_after(&self, syncs: u32) {
        fs::write(&self.file, syncs.to_string()).unwrap();
    }

    /// Lets every sync pass from now on, and says whether it has cut.
    pub fn lift(&self) -> bool {
        let left = fs::read_to_string(&self.file).unwrap();
        fs::remove_file(&self.file).unwrap();
        left.starts_with("cut")
    }
}

/// A running pos and a person before it.
pub struct Device {
    process: Child,
    data: PathBuf,
    pub counter: Counter,
}

impl Device {
    /// Starts the program on the data of a store.
    pub fn start(store: &Store) -> Device {
        let mut command = Command::new("sh");
        command.args(["-c", LIMITED, "sh"]);
        Device::run(command, store, "")
    }

    /// Starts it with further settings and with a switch.
    pub fn with_a_switch(store: &Store, settings: &str, switch: &Switch) -> Device {
        let mut command = Command::new("env");
        command.env("LD_PRELOAD", &switch.library).env(SWITCH, &switch.file);
        Device::run(command, store, settings)
    }

    /// Starts it on a copy of the data in a file system of 12 MiB; says loudly why there is none where that is forbidden.
    pub fn on_a_small_disk(store: &Store) -> Option<Device> {
        let may = Command::new("unshare").args(["-Urm", "true"]).status();
        if !may.is_ok_and(|may| may.success()) {
            eprintln!("SKIPPED: no file system may be mounted here, so no disk was filled");
            return None;
        }
        let kept = store.folder.path().join("kept");
        fs::rename(store.data(), &kept).unwrap();
        fs::create_dir(store.data()).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", MOUNTED, "sh"]).arg(store.data()).arg(kept);
        Some(Device::run(command, store, ""))
    }

    fn run(mut command: Command, store: &Store, further: &str) -> Device {
        let folder = store.folder.path();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, data) = (free.local_addr().unwrap(), store.data());
        drop(free);
        write_key(&data);
        write_key(&folder.join("kept"));
        let (config, admission) = (folder.join("pos.toml"), folder.join("pos.admission"));
        fs::write(&admission, store.admission.to_text()).unwrap();
        let settings = format!(
            "device = \"s0001-p01\"\nrole = \"pos\"\ndata = {data:?}\nadmission = {admission:?}\n\
             listen = \"{address}\"\nspace_min_mib = 1\nlock_after_s = 86400\n{further}"
        );
        fs::write(&config, settings).unwrap();
        command.arg(env!("CARGO_BIN_EXE_appliance")).args(["run", "--config"]).arg(config);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("ready "), "it ended before it was ready: {said}");
        Device { process, data, counter: Counter::before(format!("http://{address}")) }
    }

    /// How long a file of its data is.
    pub fn length(&self, name: &str) -> u64 {
        fs::metadata(self.data.join(name)).map_or(0, |file| file.len())
    }

    /// From now on no file may grow above this length; `None` lifts it.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let mut command = Command::new("prlimit");
        command.arg(format!("--pid={}", self.process.id())).arg(format!("--fsize={bytes}:"));
        assert!(command.status().unwrap().success());
    }

    /// Fills its small file system to the last byte.
    pub fn fill_disk(&self) {
        let ballast = self.seen().join("ballast");
        let mut file = OpenOptions::new().create(true).append(true).open(ballast).unwrap();
        let full = (0..12 * 1_024).find_map(|_| file.write_all(&[1; 1_024]).err());
        assert_eq!(full.map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
    }

    /// Makes room on it again.
    pub fn make_room(&self) {
        fs::remove_file(self.seen().join("ballast")).unwrap();
    }

    /// Puts what its small file system holds into the store's own folder.
    pub fn keep_data(&self) {
        for file in fs::read_dir(self.seen()).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), self.data.join(file.file_name())).unwrap();
        }
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until it has ended by itself, with an error, as its caller starts it again then.
    pub fn ended(mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match self.process.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "it did not end by itself"),
            }
            std::thread::yield_now();
        };
        assert!(!status.success());
    }

    /// The data folder as the process sees it.
    fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        root.join(self.data.strip_prefix("/").unwrap())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_key(data: &Path) {
    if data.is_dir() {
        let key = data.join(keys::FILE_NAME);
        fs::write(&key, hex::encode(POS_SEED)).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    }
}
