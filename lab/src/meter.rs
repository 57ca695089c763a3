//! What a stretch of work costs all processes of the chain

use crate::chain::Chain;
use crate::cpu;
use crate::process::{self, Spent};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The counters at one moment.
pub struct Meter {
    begun: Instant,
    own_cpu_us: i64,
    own_written: u64,
    others: BTreeMap<u32, Spent>,
    wire_bytes: u64,
    flushes: u64,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Time on the wall.
    pub wall: Duration,
    /// CPU milliseconds of the lab and of all processes that it started.
    pub cpu_ms: u64,
    /// Of them the lab's own, where the pos of a replay are.
    pub own_cpu_ms: u64,
    /// Bytes that all of them made the disk write.
    pub written_bytes: u64,
    /// Bytes of MQTT over all wires, both ways.
    pub wire_bytes: u64,
    /// Flushes that all disks of the machine have done meanwhile, whoever asked.
    pub flushes: u64,
}

impl Meter {
    /// Reads all counters.
    pub fn read(chain: &mut Chain) -> Meter {
        let pids: Vec<u32> = chain.seats().into_iter().flat_map(|seat| chain.pids(seat)).collect();
        Meter {
            begun: Instant::now(),
            own_cpu_us: cpu::process_us(),
            own_written: process::spent(std::process::id()).written_bytes,
            others: pids.into_iter().map(|pid| (pid, process::spent(pid))).collect(),
            wire_bytes: chain
                .lines
                .iter()
                .map(|line| line.wire.carried())
                .map(|carried| carried.up_bytes + carried.down_bytes)
                .sum(),
            flushes: flushes(),
        }
    }

    /// What was used since another reading.
    pub fn since(&self, before: &Meter) -> Used {
        let own_cpu_ms = ((self.own_cpu_us - before.own_cpu_us) / 1_000).unsigned_abs();
        let mut used = Used {
            wall: self.begun - before.begun,
            cpu_ms: own_cpu_ms,
            own_cpu_ms,
            written_bytes: self.own_written - before.own_written,
            wire_bytes: self.wire_bytes - before.wire_bytes,
            flushes: self.flushes - before.flushes,
        };
        for (pid, spent) in &self.others {
            let earlier = before.others.get(pid).copied().unwrap_or_default();
            used.cpu_ms += spent.cpu_ms - earlier.cpu_ms;
            used.written_bytes += spent.written_bytes - earlier.written_bytes;
        }
        used
    }
}

/// Flushes completed by all disks since the machine began; the 16th figure behind each name of /proc/diskstats.
fn flushes() -> u64 {
    let stats = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let of_line =
        |line: &str| line.split_whitespace().nth(18).and_then(|figure| figure.parse::<u64>().ok());
    stats.lines().filter_map(of_line).sum()
}
