//! A line to a broker, which loses messages and says so
//!
//! The protocol above takes it as a lossy pipe. So a line keeps nothing: what
//! waits when a connection ends is dropped, and the changelog sends it again.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use selvedge_sync::origin::DeviceId;
use selvedge_sync::topics;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time;

use crate::address::BrokerAddress;
use crate::connection::{ConnectionSettings, Heard, Letter, Taken, run};
use crate::payload::Payload;

/// The largest payload that is ever published. Brokers reset a connection for more, without a reason.
pub const PAYLOAD_BYTES_MAX: usize = 96 * 1024;

/// Letters that may wait for the connection. Credit keeps it far below; beyond it they are dropped.
const LETTERS_MAX: usize = 1_024;

/// What a line needs to know.
#[derive(Debug, Clone)]
pub struct LineSettings {
    /// The broker.
    pub address: BrokerAddress,
    /// Begins every client id of this line; at most 18 signs.
    pub client: String,
    /// The one filter it subscribes to.
    pub filter: String,
    /// Seconds between pings when nothing else is said.
    pub keep_alive_s: u64,
    /// How long the broker may take: to be up, and to acknowledge a publish.
    pub stall_ms: u64,
    /// First pause before a new connection; it doubles up to `pause_ms_max`.
    pub pause_ms: u64,
    /// Longest pause before a new connection.
    pub pause_ms_max: u64,
}

impl LineSettings {
    /// The line of a child to its parent's broker.
    pub fn to_parent(address: BrokerAddress, own: &DeviceId) -> LineSettings {
        LineSettings::new(address, format!("{}-u", own.as_str()), topics::down_filter(own))
    }

    /// The line of a parent to the broker where its children speak.
    pub fn to_children(address: BrokerAddress, own: &DeviceId) -> LineSettings {
        LineSettings::new(address, format!("{}-d", own.as_str()), topics::UP_FILTER.to_owned())
    }

    /// A line with the usual times.
    pub fn new(address: BrokerAddress, client: String, filter: String) -> LineSettings {
        LineSettings {
            address,
            client,
            filter,
            keep_alive_s: 5,
            stall_ms: 10_000,
            pause_ms: 100,
            pause_ms_max: 5_000,
        }
    }
}

/// What a line tells its owner. It is told on the line's own task: take it and return at once.
#[derive(Debug)]
pub enum LineNews {
    /// Connected and subscribed.
    Up,
    /// The connection is gone, with the reason.
    Down(String),
    /// A message came in.
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        bytes: Vec<u8>,
        /// To be dropped, in order of arrival, when the message has been taken.
        taken: Taken,
    },
}

/// How a line is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineStatus {
    /// Connected and subscribed.
    pub up: bool,
    /// How many connections have ended.
    pub ends: u64,
    /// Why the last one ended. Empty when none has.
    pub reason: String,
}

/// Why a message was not given to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The line is down.
    #[error("the line is down")]
    Down,
    /// Too much waits already.
    #[error("the line is full")]
    Full,
    /// An empty payload would delete, a large one would cut the connection.
    #[error("a payload has 1 to {PAYLOAD_BYTES_MAX} bytes, not {0}")]
    Size(usize),
}

/// A running line. Dropping it ends the connection.
#[derive(Debug)]
pub struct Line {
    letters: mpsc::Sender<Letter>,
    status: watch::Receiver<LineStatus>,
    task: JoinHandle<()>,
}

impl Line {
    /// Starts the line's task. It connects by itself, for ever.
    pub fn start(
        runtime: &Handle,
        settings: LineSettings,
        payload: Arc<Payload>,
        tell: impl FnMut(LineNews) + Send + 'static,
    ) -> Line {
        assert!(
            settings.client.len() <= 18,
            "a client id has at most 23 signs, 5 of them are drawn"
        );
        let (letters, waiting) = mpsc::channel(LETTERS_MAX);
        let (status_in, status) = watch::channel(LineStatus::default());
        let task =
            Task { settings, letters: waiting, status: status_in, payload, tell: Box::new(tell) };
        Line { letters, status, task: runtime.spawn(task.live()) }
    }

    /// Gives a message to the connection, and never waits. What is refused is gone: the protocol sends again.
    pub fn send(&self, topic: String, bytes: Vec<u8>) -> Result<(), Unsent> {
        if bytes.is_empty() || bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Unsent::Size(bytes.len()));
        }
        if !self.status.borrow().up {
            return Err(Unsent::Down);
        }
        self.letters.try_send(Letter { topic, bytes }).map_err(|_| Unsent::Full)
    }

    /// The status, and every change of it.
    pub fn status(&self) -> watch::Receiver<LineStatus> {
        self.status.clone()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    settings: LineSettings,
    letters: mpsc::Receiver<Letter>,
    status: watch::Sender<LineStatus>,
    payload: Arc<Payload>,
    tell: Box<dyn FnMut(LineNews) + Send>,
}

impl Task {
    async fn live(mut self) {
        let mut pause_ms = self.settings.pause_ms;
        loop {
            let Some(reason) = self.one_connection().await else { return };
            let was_up = self.status.borrow().up;
            tracing::debug!(client = self.settings.client, %reason, "line down");
            self.status.send_modify(|status| {
                status.up = false;
                status.ends += 1;
                status.reason.clone_from(&reason);
            });
            if was_up {
                (self.tell)(LineNews::Down(reason));
                pause_ms = self.settings.pause_ms;
            } else {
                pause_ms = (pause_ms * 2).min(self.settings.pause_ms_max);
            }
            time::sleep(Duration::from_millis(jittered(pause_ms))).await;
            while self.letters.try_recv().is_ok() {}
        }
    }

    /// A panic inside the client is an end like any other.
    async fn one_connection(&mut self) -> Option<String> {
        let settings = ConnectionSettings {
            address: self.settings.address.clone(),
            filter: self.settings.filter.clone(),
            keep_alive_s: self.settings.keep_alive_s,
            stall_ms: self.settings.stall_ms,
        };
        let (status, tell) = (&self.status, &mut self.tell);
        let mut hear = |heard| match heard {
            Heard::Up => {
                status.send_modify(|status| status.up = true);
                tell(LineNews::Up);
            }
            Heard::Message { topic, bytes, taken } => {
                tell(LineNews::Message { topic, bytes, taken })
            }
        };
        let client_id = format!("{}{:05x}", self.settings.client, drawn() & 0xf_ffff);
        let running = run(&settings, client_id, &mut self.letters, &self.payload, &mut hear);
        survived(running)
            .await
            .unwrap_or_else(|fault| Some(format!("the MQTT client failed: {fault}")))
    }
}

/// Half of the pause and a part drawn from the other half, so that not all children of a broker come at once.
fn jittered(pause_ms: u64) -> u64 {
    let half = pause_ms / 2;
    half + u64::from(drawn()) % (half + 1)
}

/// A random number; a system that has none gives the clock's, which is good enough to tell connections apart.
fn drawn() -> u32 {
    getrandom::u32().unwrap_or_else(|_| std::process::id())
}

/// Runs a future and turns its panic into an error.
async fn survived<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(fault) => Poll::Ready(Err(words_of(fault.as_ref()))),
    })
    .await
}

/// What a panic said.
pub fn words_of(fault: &(dyn Any + Send)) -> String {
    let text = fault
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| fault.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason given").to_owned()
}
