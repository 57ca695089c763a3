//! What a line costs an interface, headers included
//!
//! The kernel counts segments and bytes of each connection, and `ss` (Debian's iproute2) prints them. A segment is taken
//! for 52 bytes of headers: 20 of IPv4, 20 of TCP, 12 of its time stamps. Ethernet's own 14 are not in it. Loopback makes
//! larger segments than a network does, which only matters where a backlog is sent.

use crate::bench_desk::Fault;
use std::process::Command;

/// Headers of one segment.
const HEADER_BYTES: u64 = 20 + 20 + 12;

/// What the interface carried for one line so far, both ways.
pub fn interface_bytes(near_port: u16) -> Result<u64, Fault> {
    let filter = format!("( sport = :{near_port} )");
    let said = Command::new("ss").args(["-tinH", "state", "established", &filter]).output();
    let said = said.map_err(|cause| format!("ss cannot run ({cause}): install iproute2"))?;
    if !said.status.success() {
        return Err(format!("ss refused: {}", String::from_utf8_lossy(&said.stderr)).into());
    }
    Ok(add_up(&String::from_utf8(said.stdout)?))
}

/// Adds up every connection that `ss` has printed.
fn add_up(printed: &str) -> u64 {
    let fields = || printed.split_whitespace().filter_map(|word| word.split_once(':'));
    let sum = |wanted: &str| -> u64 {
        let values = fields().filter(|(name, _)| *name == wanted);
        values.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    };
    let segments = sum("segs_out") + sum("segs_in");
    sum("bytes_sent") + sum("bytes_received") + segments * HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_added_for_every_segment_of_every_connection() {
        let printed = "0 0 127.0.0.1:22000 127.0.0.1:40600\n\t bbr bytes_sent:100 bytes_acked:90 \
            bytes_received:50 segs_out:3 segs_in:2 data_segs_out:1\n0 0 127.0.0.1:22000 127.0.0.1:40601\n\t \
            bytes_sent:10 segs_out:1\n";
        assert_eq!(add_up(printed), 100 + 50 + 10 + (3 + 2 + 1) * 52);
        assert_eq!(add_up(""), 0);
    }
}
