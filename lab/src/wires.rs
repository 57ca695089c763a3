//! Wires between processes that can be cut, healed, slowed
//!
//! A pulled cable is silence, not a refusal: what is under way stops and stays, nobody is told, and only a time-out of
//! the program finds out. So a cut wire keeps its open connections and passes nothing; new ones find nobody there.
//! Closing them at once would be kinder than any real cable and would hide the time-outs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The most that one step carries.
const CHUNK_BYTES: usize = 16 * 1024;
/// Steps under way in one direction before the sender has to wait.
const CHUNKS_UNDER_WAY: usize = 64;

/// What a wire does to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// False while the cable is pulled.
    pub plugged: bool,
    /// How long each byte is under way.
    pub delay: Duration,
}

/// Bytes carried so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// From the one who called.
    pub up_bytes: u64,
    /// To the one who called.
    pub down_bytes: u64,
}

#[derive(Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
}

/// One line: a port on loopback and where it leads.
pub struct Wire {
    /// Where the line begins.
    pub near: SocketAddr,
    /// Where it leads.
    pub far: SocketAddr,
    condition: Arc<watch::Sender<Condition>>,
    counters: Arc<Counters>,
    listening: JoinHandle<()>,
}

impl Wire {
    /// Lays a wire from a port of loopback (0: a free one) to an address.
    pub async fn lay(near_port: u16, far: SocketAddr) -> io::Result<Wire> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, near_port)).await?;
        let near = listener.local_addr()?;
        let condition =
            Arc::new(watch::Sender::new(Condition { plugged: true, delay: Duration::ZERO }));
        let counters = Arc::new(Counters::default());
        let listening = tokio::spawn(listen(listener, far, condition.clone(), counters.clone()));
        Ok(Wire { near, far, condition, counters, listening })
    }

    /// Pulls the cable.
    pub fn cut(&self) {
        self.condition.send_modify(|condition| condition.plugged = false);
    }

    /// Plugs the cable in again.
    pub fn heal(&self) {
        self.condition.send_modify(|condition| condition.plugged = true);
    }

    /// Makes each byte take this long.
    pub fn slow(&self, delay: Duration) {
        self.condition.send_modify(|condition| condition.delay = delay);
    }

    /// What the wire does now.
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// What it carried so far.
    pub fn carried(&self) -> Carried {
        Carried {
            up_bytes: self.counters.up.load(Ordering::Relaxed),
            down_bytes: self.counters.down.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    far: SocketAddr,
    condition: Arc<watch::Sender<Condition>>,
    counters: Arc<Counters>,
) {
    while let Ok((near_end, _)) = listener.accept().await {
        // Dropped at once when the cable is out: the caller finds nobody there.
        if condition.borrow().plugged {
            tokio::spawn(join(near_end, far, condition.subscribe(), counters.clone()));
        }
    }
}

async fn join(
    near_end: TcpStream,
    far: SocketAddr,
    condition: watch::Receiver<Condition>,
    counters: Arc<Counters>,
) {
    let Ok(far_end) = TcpStream::connect(far).await else { return };
    // A wire that waits to fill its segments would add delays of its own.
    if near_end.set_nodelay(true).and_then(|()| far_end.set_nodelay(true)).is_err() {
        return;
    }
    let (near_read, near_write) = near_end.into_split();
    let (far_read, far_write) = far_end.into_split();
    let up = carry(near_read, far_write, condition.clone(), &counters.up);
    let down = carry(far_read, near_write, condition, &counters.down);
    tokio::join!(up, down);
}

/// Carries one direction to its end.
async fn carry(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    condition: watch::Receiver<Condition>,
    counter: &AtomicU64,
) {
    let (sender, receiver) = mpsc::channel(CHUNKS_UNDER_WAY);
    tokio::join!(
        pick_up(from, sender, condition.clone()),
        deliver(to, receiver, condition, counter)
    );
}

async fn pick_up(
    mut from: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    condition: watch::Receiver<Condition>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length) = from.read(&mut chunk).await {
        let arrives = Instant::now() + condition.borrow().delay;
        if length == 0 || sender.send((arrives, chunk[..length].to_vec())).await.is_err() {
            break;
        }
    }
}

async fn deliver(
    mut to: OwnedWriteHalf,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut condition: watch::Receiver<Condition>,
    counter: &AtomicU64,
) {
    while let Some((arrives, chunk)) = receiver.recv().await {
        tokio::time::sleep_until(arrives).await;
        // An error here means that the wire itself is gone.
        if condition.wait_for(|condition| condition.plugged).await.is_err()
            || to.write_all(&chunk).await.is_err()
        {
            return;
        }
        counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
    if condition.wait_for(|condition| condition.plugged).await.is_ok() {
        // The far end may have closed first, and then there is nobody to tell.
        to.shutdown().await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo that answers every byte it is sent.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    tokio::io::copy(&mut read, &mut write).await.ok();
                });
            }
        });
        address
    }

    async fn answered(stream: &mut TcpStream, byte: u8) -> bool {
        stream.write_all(&[byte]).await.unwrap();
        let mut answer = [0];
        let read =
            tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut answer)).await;
        matches!(read, Ok(Ok(_))) && answer == [byte]
    }

    #[tokio::test]
    async fn a_pulled_cable_is_silence_and_what_was_said_arrives_when_it_is_plugged_in() {
        let wire = Wire::lay(0, echo().await).await.unwrap();
        let mut stream = TcpStream::connect(wire.near).await.unwrap();
        assert!(answered(&mut stream, 1).await);

        wire.cut();
        assert!(!answered(&mut stream, 2).await);

        wire.heal();
        let mut answer = [0];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [2]);
        assert_eq!(wire.carried(), Carried { up_bytes: 2, down_bytes: 2 });
    }

    #[tokio::test]
    async fn a_new_connection_over_a_pulled_cable_finds_nobody() {
        let wire = Wire::lay(0, echo().await).await.unwrap();
        wire.cut();
        let mut stream = TcpStream::connect(wire.near).await.unwrap();
        let mut answer = [0];
        assert!(!matches!(stream.read(&mut answer).await, Ok(1..)));
    }

    #[tokio::test]
    async fn a_slow_wire_takes_its_time_both_ways() {
        let wire = Wire::lay(0, echo().await).await.unwrap();
        wire.slow(Duration::from_millis(40));
        let mut stream = TcpStream::connect(wire.near).await.unwrap();
        let start = Instant::now();
        assert!(answered(&mut stream, 7).await);
        assert!(start.elapsed() >= Duration::from_millis(80));
    }
}
