//! The broker's own door, which holds no byte back
//!
//! rumqttd leaves TCP as it is: the second of two small messages to a line
//! waits until the first is acknowledged, 40 ms for nothing. Its sockets are
//! out of reach, so the lines talk to this door. It passes bytes on unchanged,
//! never waits with small ones, and acknowledges what rumqttd says at once.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;

/// Bytes that one direction of one line may hold here.
const BUFFER_BYTES: usize = 32 * 1024;

/// Lets lines in, for ever.
pub async fn keep(listener: TcpListener, inner: SocketAddrV4, connections_max: usize) {
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((line, _)) => {
                tokio::spawn(async move {
                    if let Err(error) = pass(line, inner).await {
                        tracing::debug!(%error, "a line at the broker's door broke");
                    }
                    drop(place);
                });
            }
            // Out of descriptors, most likely. Others will end.
            Err(error) => {
                tracing::warn!(%error, "a line could not be let in");
                time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One line, until either side ends it.
async fn pass(line: TcpStream, inner: SocketAddrV4) -> io::Result<()> {
    line.set_nodelay(true)?;
    let broker = TcpStream::connect(inner).await?;
    broker.set_nodelay(true)?;
    let (line_in, line_out) = line.into_split();
    let (broker_in, broker_out) = broker.into_split();
    tokio::select! {
        ended = pour(line_in, broker_out) => ended,
        ended = pour(broker_in, line_out) => ended,
    }
}

async fn pour(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        // The system forgets this after a while, so it is said each time.
        from.as_ref().set_quickack(true)?;
        to.write_all(&buffer[..read]).await?;
    }
}
