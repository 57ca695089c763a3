//! One MQTT connection from its first byte to its end
//!
//! It is never repaired. rumqttc drops queued publishes and subscriptions when
//! it reconnects by itself, and a publish kept aside on a packet-id collision
//! can wedge it for ever. So any error ends the connection, and the line
//! builds a new client and a new event loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
};
use tokio::sync::{Notify, mpsc};
use tokio::time;

use crate::address::BrokerAddress;
use crate::payload::Payload;

/// Publishes that may wait for their PUBACK at a time.
const INFLIGHT_MAX: u16 = 16;

/// What rumqttc may hold of ours outside the window: the changelog is the queue, nothing else.
const CLIENT_CAPACITY: usize = 2;

/// The largest packet either side accepts: the broker's payload limit and room for the topic.
const PACKET_BYTES_MAX: usize = 132 * 1024;

/// What a connection needs to know.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// The broker.
    pub address: BrokerAddress,
    /// The one filter to subscribe to.
    pub filter: String,
    /// Seconds between pings when nothing else is said.
    pub keep_alive_s: u64,
    /// How long the broker may take: to be up, and to acknowledge a publish.
    pub stall_ms: u64,
}

/// A message to publish.
#[derive(Debug)]
pub struct Letter {
    /// Where to.
    pub topic: String,
    /// The payload, never empty.
    pub bytes: Vec<u8>,
}

/// What a connection tells.
#[derive(Debug)]
pub enum Heard {
    /// The subscription stands.
    Up,
    /// A message came in.
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        bytes: Vec<u8>,
        /// To be dropped when the message has been taken.
        taken: Taken,
    },
}

/// Acknowledges one received message when it is dropped. The order of drops must be the order of arrival: rumqttd ends
/// a line that acknowledges out of order.
#[derive(Debug)]
pub struct Taken {
    packet: u16,
    acks: mpsc::UnboundedSender<u16>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A connection that is gone needs no acknowledgement.
        let _ = self.acks.send(self.packet);
    }
}

/// What the futures of one connection share.
#[derive(Debug)]
struct Pulse {
    since: Instant,
    up: AtomicBool,
    opened: Notify,
    sent: AtomicU64,
    acked: AtomicU64,
}

/// Runs one connection to its end and says why it ended. `None` means that the line was dropped.
pub async fn run(
    settings: &ConnectionSettings,
    client_id: String,
    letters: &mut mpsc::Receiver<Letter>,
    payload: &Payload,
    hear: &mut (dyn FnMut(Heard) + Send),
) -> Option<String> {
    let (client, events) = AsyncClient::new(options(settings, client_id), CLIENT_CAPACITY);
    let mut events = events;
    let mut network = events.network_options();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let (acks, acks_out) = mpsc::unbounded_channel();
    let pulse = Arc::new(Pulse {
        since: Instant::now(),
        up: AtomicBool::new(false),
        opened: Notify::new(),
        sent: AtomicU64::new(0),
        acked: AtomicU64::new(0),
    });
    tokio::select! {
        reason = listen(settings, &client, events, acks, payload, &pulse, hear) => Some(reason),
        reason = stalled(settings, &pulse) => Some(reason),
        () = speak(&client, letters, acks_out, payload, &pulse) => None,
    }
}

fn options(settings: &ConnectionSettings, client_id: String) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, &settings.address.host, settings.address.port);
    options
        .set_keep_alive(Duration::from_secs(settings.keep_alive_s.max(1)))
        .set_clean_session(true)
        .set_manual_acks(true)
        .set_inflight(INFLIGHT_MAX)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    options
}

async fn listen(
    settings: &ConnectionSettings,
    client: &AsyncClient,
    mut events: EventLoop,
    acks: mpsc::UnboundedSender<u16>,
    payload: &Payload,
    pulse: &Pulse,
    hear: &mut (dyn FnMut(Heard) + Send),
) -> String {
    loop {
        match events.poll().await {
            Err(error) => return format!("the line to {} broke: {error}", settings.address),
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if let Err(error) = client.try_subscribe(&settings.filter, QoS::AtLeastOnce) {
                    return format!("the subscription could not be asked for: {error}");
                }
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return format!(
                        "{} refused the subscription to {}",
                        settings.address, settings.filter
                    );
                }
                pulse.up.store(true, Ordering::Relaxed);
                hear(Heard::Up);
                pulse.opened.notify_one();
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let Publish { topic, payload: bytes, pkid: packet, .. } = publish;
                payload.received(&topic, bytes.len());
                let taken = Taken { packet, acks: acks.clone() };
                hear(Heard::Message { topic, bytes: bytes.into(), taken });
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                pulse.acked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Outgoing(Outgoing::Publish(_))) => {
                pulse.sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
        }
    }
}

/// Ends when the broker is not up in time, or acknowledges nothing of what waits for it.
async fn stalled(settings: &ConnectionSettings, pulse: &Pulse) -> String {
    let limit = Duration::from_millis(settings.stall_ms);
    let mut acked = 0;
    let mut moved = pulse.since;
    loop {
        time::sleep(limit / 8).await;
        if !pulse.up.load(Ordering::Relaxed) {
            if pulse.since.elapsed() >= limit {
                return format!("{} did not take the subscription in time", settings.address);
            }
            continue;
        }
        let now_acked = pulse.acked.load(Ordering::Relaxed);
        if now_acked != acked || pulse.sent.load(Ordering::Relaxed) == now_acked {
            acked = now_acked;
            moved = Instant::now();
        }
        if moved.elapsed() >= limit {
            return format!("{} acknowledges nothing any more", settings.address);
        }
    }
}

/// Publishes what comes and acknowledges what was taken. Ends when the line is dropped.
async fn speak(
    client: &AsyncClient,
    letters: &mut mpsc::Receiver<Letter>,
    mut acks: mpsc::UnboundedReceiver<u16>,
    payload: &Payload,
    pulse: &Pulse,
) {
    pulse.opened.notified().await;
    loop {
        let asked = tokio::select! {
            biased;
            Some(packet) = acks.recv() => {
                let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
                publish.pkid = packet;
                client.ack(&publish).await
            }
            letter = letters.recv() => match letter {
                Some(Letter { topic, bytes }) => {
                    payload.sent(&topic, bytes.len());
                    client.publish(topic, QoS::AtLeastOnce, false, bytes).await
                }
                None => return,
            }
        };
        // The event loop is gone only when the connection is at its end, and then this future ends with it.
        if asked.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
