//! A handle to the engine of this process

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction};
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::Identity;
use selvedge_sync::open::OpenError;
use selvedge_sync::origin::DeviceId;
use selvedge_sync::outcome::{Committed, WriteError};
use selvedge_sync::page_check;
use selvedge_sync::replica::Replica;
use selvedge_sync::second_copy::Batch;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::talk::{HubSettings, Input, Now};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::address::BrokerAddress;
use crate::engine_thread::{BeforeBeat, Job, Message, Side, Work, run};
use crate::line::{Line, LineSettings, LineStatus, words_of};
use crate::payload::{KindCount, Payload};

/// Makes bytes durable in the second copy before it returns. Has a thread of its own, so it may take its time.
pub type SecondCopy = Box<dyn FnMut(&[u8]) -> std::io::Result<()> + Send>;

/// The moment of the first status: nobody was heard yet, so there are no ages in it.
const STARTED: Now = Now { wall: Millis(0), steady: Millis(0) };

/// What an engine is started with.
#[derive(Default)]
pub struct EngineSettings {
    /// How the hub behaves. Whether there is a parent is set from `parent` and `above`.
    pub hub: HubSettings,
    /// The broker where the parent listens.
    pub parent: Option<BrokerAddress>,
    /// The brokers of those that may be the parent, by name, the first one first. Instead of `parent`.
    pub above: Vec<(DeviceId, BrokerAddress)>,
    /// The broker where our children speak.
    pub children: Option<BrokerAddress>,
    /// Called in a write of its own before each beat.
    pub before_beat: Option<BeforeBeat>,
    /// Keeps every entry twice. For HQ.
    pub second_copy: Option<SecondCopy>,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The marks of its conversations could not be read.
    #[error("the state of the conversations could not be read: {0}")]
    Hub(#[from] rusqlite::Error),
    /// The system gives no thread or no random number.
    #[error("the engine could not be started: {0}")]
    System(#[from] std::io::Error),
}

/// Why a write through the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError<E: Display> {
    /// The replica says why.
    #[error("{0}")]
    Write(WriteError<E>),
    /// There is no engine any more. Nothing was written, unless it failed in this very act.
    #[error("{0}")]
    Gone(String),
}

/// A handle to the engine thread. Clones share it; the last one to go stops it.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<HubStatus>,
    ended: watch::Receiver<Option<String>>,
    identity: Identity,
    payload: Arc<Payload>,
    parent_line: Option<watch::Receiver<LineStatus>>,
    children_line: Option<watch::Receiver<LineStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Gives the replica to a thread of its own and starts the lines on the runtime.
    pub fn start(
        replica: Replica,
        settings: EngineSettings,
        runtime: &Handle,
    ) -> Result<Engine, StartError> {
        let EngineSettings { hub, parent, above, children, before_beat, second_copy } = settings;
        let hub_settings = HubSettings {
            has_parent: parent.is_some() || !above.is_empty(),
            lines: above.iter().map(|(device, _)| device.clone()).collect(),
            second_copy: second_copy.is_some(),
            ..hub
        };
        let beat_ms = hub_settings.beat_ms;
        let nonce = getrandom::u64().map_err(std::io::Error::from)?;
        let hub = Hub::new(&replica, hub_settings, nonce)?;
        let identity = replica.identity().clone();
        let payload = Arc::new(Payload::default());
        let (messages, waiting) = mpsc::channel();
        let line = |side: Side, settings: LineSettings| {
            let messages = messages.clone();
            // A line that has news for an engine that is gone is about to go too.
            let tell = move |news| drop(messages.send(Message::News(side.clone(), news)));
            Line::start(runtime, settings, payload.clone(), tell)
        };
        let parent =
            parent.map(|at| line(Side::Parent, LineSettings::to_parent(at, &identity.device)));
        let above: BTreeMap<DeviceId, Line> = above
            .into_iter()
            .map(|(device, at)| {
                let settings = LineSettings::to_parent(at, &identity.device);
                (device.clone(), line(Side::Above(device), settings))
            })
            .collect();
        let children = children
            .map(|at| line(Side::Children, LineSettings::to_children(at, &identity.device)));
        let second_copy = second_copy.map(|keep| copier(keep, messages.clone())).transpose()?;
        let parent_line = parent.as_ref().or(above.values().next()).map(Line::status);
        let children_line = children.as_ref().map(Line::status);
        // Whoever asks before the thread has made a round must not hear that all is well.
        let (status_in, status) = watch::channel(hub.status(&replica, STARTED));
        let (ended_in, ended) = watch::channel(None);
        let work = Work {
            replica,
            hub,
            parent,
            above,
            children,
            second_copy,
            status: status_in,
            before_beat,
            beat_ms,
        };
        let live = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| run(work, &waiting)));
            ended_in.send_replace(Some(why_ended(outcome)));
        };
        let thread =
            Mutex::new(Some(thread::Builder::new().name("engine".to_owned()).spawn(live)?));
        let shared = Shared {
            messages,
            status,
            ended,
            identity,
            payload,
            parent_line,
            children_line,
            thread,
        };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// Runs a deed in a replicated write and waits for the commit.
    pub async fn write<T, E>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Committed<T>, EngineError<E>>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.give(writing(act, move |done| drop(answer.send(done))));
        match answered.await {
            Ok(done) => done.map_err(EngineError::Write),
            Err(_) => Err(EngineError::Gone(self.why_gone())),
        }
    }

    /// As `write`, for a thread that may block. Never call it on a thread of the async runtime.
    pub fn write_blocking<T, E>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Committed<T>, EngineError<E>>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.give(writing(act, move |done| drop(answer.send(done))));
        match answered.recv() {
            Ok(done) => done.map_err(EngineError::Write),
            Err(_) => Err(EngineError::Gone(self.why_gone())),
        }
    }

    /// Lets a restored HQ say whom it follows, and write. Blocks, as `write_blocking`.
    pub fn succeed_blocking(&self, authority: Arc<dyn DeviceKeys>) -> Result<(), String> {
        let succeed = move |replica: &mut Replica, wall| replica.succeed(wall, authority.as_ref());
        self.act_blocking(succeed)?.map_err(|why| why.to_string())
    }

    /// Hands the replica to an act that reads and writes as one. Blocks, as `write_blocking`.
    pub fn act_blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Replica, Millis) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.give(Box::new(move |replica, wall| {
            drop(answer.send(act(replica, wall)));
            true
        }));
        answered.recv().map_err(|_| self.why_gone())
    }

    /// Ends the engine if this connection that only reads was refused a page: the database has rotted, and the next start
    /// builds it anew.
    pub fn look_for_rot(&self, reader: &Connection) {
        if page_check::has_met_rot(reader) {
            self.give(Box::new(|replica, _| {
                replica.a_reader_met_rot();
                false
            }));
        }
    }

    /// Opens a connection that only reads, for another thread. Blocks for a moment: open a few and keep them.
    pub fn reader(&self) -> Result<Connection, ReaderError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.give(Box::new(move |replica, _| {
            drop(answer.send(replica.reader()));
            false
        }));
        match answered.recv() {
            Ok(opened) => opened.map_err(ReaderError::Open),
            Err(_) => Err(ReaderError::Gone(self.why_gone())),
        }
    }

    /// How this replica stands with the others, now.
    pub fn status(&self) -> HubStatus {
        self.shared.status.borrow().clone()
    }

    /// The status and every move of it. Ages in it are a second old at most and wake nobody.
    pub fn subscribe(&self) -> watch::Receiver<HubStatus> {
        self.shared.status.clone()
    }

    /// How the line to the parent is; none without a parent.
    pub fn parent_line(&self) -> Option<LineStatus> {
        self.shared.parent_line.as_ref().map(|line| line.borrow().clone())
    }

    /// How the line to the children is; none without children.
    pub fn children_line(&self) -> Option<LineStatus> {
        self.shared.children_line.as_ref().map(|line| line.borrow().clone())
    }

    /// Payload carried since the start, over all lines.
    pub fn payload(&self) -> Vec<KindCount> {
        self.shared.payload.counts()
    }

    /// Whose replica it is.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Why the engine has ended, once it has.
    pub fn why_ended(&self) -> Option<String> {
        self.shared.ended.borrow().clone()
    }

    /// Waits for the end of the engine and says why. A program whose engine has ended has nothing left to do.
    pub async fn ended(&self) -> String {
        let mut ended = self.shared.ended.clone();
        let waited = ended.wait_for(Option::is_some).await;
        waited
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or_else(|| "the engine is gone".to_owned())
    }

    /// Stops the engine after what it is doing and waits until its database is closed.
    pub fn stop(&self) {
        self.shared.stop();
    }

    fn give(&self, job: Job) {
        // When the engine is gone the job is dropped, and with it the way of its answer.
        let _ = self.shared.messages.send(Message::Job(job));
    }

    fn why_gone(&self) -> String {
        self.why_ended().unwrap_or_else(|| "the engine failed: start the program again".to_owned())
    }
}

impl Shared {
    fn stop(&self) {
        let _ = self.messages.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panic, if any, was caught and is kept as the reason of the end.
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Why the thread has come to its end, in words.
fn why_ended(outcome: thread::Result<Result<(), String>>) -> String {
    match outcome {
        Ok(Ok(())) => "the engine was stopped: start the program again".to_owned(),
        Ok(Err(reason)) => format!("start the program again: {reason}"),
        Err(fault) => {
            format!("the engine failed, start the program again: {}", words_of(fault.as_ref()))
        }
    }
}

/// Makes batches durable one after the other, and says so. Ends with the engine.
fn copier(
    mut keep: SecondCopy,
    messages: mpsc::Sender<Message>,
) -> std::io::Result<mpsc::Sender<Batch>> {
    let (batches, waiting) = mpsc::channel::<Batch>();
    let work = move || {
        for batch in waiting {
            let told = match keep(&batch.bytes) {
                Ok(()) => Input::Copied(batch.marks),
                Err(error) => {
                    tracing::error!(%error, "the second copy was not written, it is tried again");
                    Input::NotCopied(batch.marks)
                }
            };
            if messages.send(Message::Copy(told)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("second-copy".to_owned()).spawn(work)?;
    Ok(batches)
}

/// Why no read connection was given.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The file says why.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no engine any more.
    #[error("{0}")]
    Gone(String),
}

fn writing<T, E>(
    act: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    answer: impl FnOnce(Result<Committed<T>, WriteError<E>>) + Send + 'static,
) -> Job {
    Box::new(move |replica, wall| {
        let done = replica.write(wall, act);
        let wrote = done.as_ref().is_ok_and(|committed| committed.entry.is_some());
        answer(done);
        wrote
    })
}
