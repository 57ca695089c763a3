//! Asks a broker whether it really carries messages
//!
//! An open port proves nothing: a broker whose router is dead still accepts
//! connections. So a probe connects, subscribes, publishes a nonce and wants
//! the very same nonce back.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, SubscribeReasonCode};
use tokio::time;

use crate::address::BrokerAddress;

/// Why a probe has missed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeMiss {
    /// No answer within the time given.
    #[error("no answer within {0} ms")]
    Late(u64),
    /// The connection failed or broke.
    #[error("{0}")]
    Broken(String),
    /// The subscription was refused.
    #[error("the broker refused the subscription to {0}")]
    Refused(String),
}

/// Whose probe it is, and where.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The broker asked.
    pub address: BrokerAddress,
    /// The name of the asker: part of the topic and of the client id.
    pub name: String,
    /// How long an answer may take.
    pub answer_ms: u64,
}

impl Probe {
    /// One round through the broker.
    pub async fn ask(&self) -> Result<(), ProbeMiss> {
        match time::timeout(Duration::from_millis(self.answer_ms), self.round()).await {
            Ok(answer) => answer,
            Err(_) => Err(ProbeMiss::Late(self.answer_ms)),
        }
    }

    async fn round(&self) -> Result<(), ProbeMiss> {
        let topic = format!("sv1/probe/{}", self.name);
        let number = getrandom::u64().map_err(|error| ProbeMiss::Broken(error.to_string()))?;
        let nonce = number.to_be_bytes();
        // Not the id of the probe before, which rumqttd may still be clearing up. Not a new one each time either: it
        // remembers every id that it has ever seen.
        let client_id = format!("probe-{}-{}", self.name, number % 16);
        let mut options = MqttOptions::new(client_id, &self.address.host, self.address.port);
        options.set_keep_alive(Duration::from_secs(5));
        let (client, mut events) = AsyncClient::new(options, 4);
        loop {
            let event =
                events.poll().await.map_err(|error| ProbeMiss::Broken(error.to_string()))?;
            let asked = match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    client.try_subscribe(&topic, QoS::AtMostOnce)
                }
                Event::Incoming(Packet::SubAck(ack))
                    if ack.return_codes.contains(&SubscribeReasonCode::Failure) =>
                {
                    return Err(ProbeMiss::Refused(topic));
                }
                Event::Incoming(Packet::SubAck(_)) => {
                    client.try_publish(&topic, QoS::AtMostOnce, false, nonce)
                }
                // No polite end: rumqttd would clear up twice, and the second time it would cut whoever has come since.
                Event::Incoming(Packet::Publish(publish)) if publish.payload[..] == nonce => {
                    return Ok(());
                }
                _ => Ok(()),
            };
            asked.map_err(|error| ProbeMiss::Broken(error.to_string()))?;
        }
    }
}
