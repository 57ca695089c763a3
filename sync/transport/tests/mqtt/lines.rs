//! Lines over real brokers, rebuilt when these die

use std::sync::Arc;

use crate::common::{Embedded, Mosquitto, SOON, TestBroker, free_address, resident_mib};
use selvedge_sync::origin::DeviceId;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::line::{Line, LineNews, LineSettings, PAYLOAD_BYTES_MAX, Unsent};
use selvedge_transport::payload::{Count, Payload};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

struct End {
    line: Line,
    news: UnboundedReceiver<LineNews>,
    payload: Arc<Payload>,
}

impl End {
    fn start(settings: LineSettings) -> End {
        let (tell, news) = unbounded_channel();
        let payload = Arc::new(Payload::default());
        let settings = LineSettings { pause_ms: 20, pause_ms_max: 200, ..settings };
        let line = Line::start(&Handle::current(), settings, payload.clone(), move |news| {
            let _ = tell.send(news);
        });
        End { line, news, payload }
    }

    async fn next(&mut self) -> LineNews {
        timeout(SOON, self.news.recv()).await.expect("in time").expect("the line lives")
    }

    async fn is_up(&mut self) {
        while !matches!(self.next().await, LineNews::Up) {}
    }

    async fn message(&mut self) -> (String, Vec<u8>) {
        loop {
            if let LineNews::Message { topic, bytes, .. } = self.next().await {
                return (topic, bytes);
            }
        }
    }
}

/// A child and a parent that share a broker.
async fn both_ends(address: &BrokerAddress) -> (End, End) {
    let (pos, back_office) =
        (DeviceId::new("s0001-p01").unwrap(), DeviceId::new("s0001-b01").unwrap());
    let mut child = End::start(LineSettings::to_parent(address.clone(), &pos));
    let mut parent = End::start(LineSettings::to_children(address.clone(), &back_office));
    child.is_up().await;
    parent.is_up().await;
    (child, parent)
}

async fn one_message_each_way(child: &mut End, parent: &mut End, word: &str) {
    child.line.send("sv1/up/s0001-p01/live".to_owned(), word.into()).unwrap();
    assert_eq!(parent.message().await, ("sv1/up/s0001-p01/live".to_owned(), word.into()));
    parent.line.send("sv1/down/s0001-p01/ack".to_owned(), word.into()).unwrap();
    assert_eq!(child.message().await, ("sv1/down/s0001-p01/ack".to_owned(), word.into()));
}

async fn messages_pass_both_ways(broker: &dyn TestBroker) {
    let (mut child, mut parent) = both_ends(&broker.address()).await;
    one_message_each_way(&mut child, &mut parent, "a sale").await;
    assert_eq!(child.payload.counts()[0].sent, Count { messages: 1, bytes: 6 });
    assert_eq!(child.payload.counts()[2].received, Count { messages: 1, bytes: 6 });
}

/// More than every window along the way, of the largest size, in both directions at once, and in order.
async fn a_stream_of_large_messages_arrives_in_order(broker: &dyn TestBroker) {
    let (mut child, mut parent) = both_ends(&broker.address()).await;
    for number in 0..200_u8 {
        let bytes = vec![number; PAYLOAD_BYTES_MAX];
        child.line.send("sv1/up/s0001-p01/bulk".to_owned(), bytes.clone()).unwrap();
        parent.line.send("sv1/down/s0001-p01/bulk".to_owned(), bytes).unwrap();
        if number >= 10 {
            assert_eq!(parent.message().await.1[0], number - 10);
            assert_eq!(child.message().await.1[0], number - 10);
        }
    }
}

async fn a_line_is_rebuilt_when_the_broker_is_killed(broker: &mut dyn TestBroker) {
    let (mut child, mut parent) = both_ends(&broker.address()).await;
    for word in ["first", "second", "third"] {
        one_message_each_way(&mut child, &mut parent, word).await;
        broker.kill();
        child.is_up().await;
        parent.is_up().await;
    }
    one_message_each_way(&mut child, &mut parent, "last").await;
    let status = child.line.status().borrow().clone();
    assert!(status.up && status.ends >= 3, "{status:?}");
    assert!(status.reason.contains("the line to mqtt://127.0.0.1:"), "{}", status.reason);
}

async fn nobody_listening_ends_no_line(broker: &dyn TestBroker) {
    let (mut child, mut parent) = both_ends(&broker.address()).await;
    parent.line.send("sv1/down/s0009-p09/live".to_owned(), b"to nobody".to_vec()).unwrap();
    one_message_each_way(&mut child, &mut parent, "still here").await;
    assert_eq!(parent.line.status().borrow().ends, 0);
}

async fn all_of_it(broker: &mut dyn TestBroker) {
    messages_pass_both_ways(broker).await;
    nobody_listening_ends_no_line(broker).await;
    a_stream_of_large_messages_arrives_in_order(broker).await;
    a_line_is_rebuilt_when_the_broker_is_killed(broker).await;
}

#[tokio::test]
async fn lines_work_over_the_embedded_broker() {
    all_of_it(&mut Embedded::start().await).await;
}

#[tokio::test]
async fn a_broker_keeps_little_of_what_it_carries() {
    let broker = Embedded::start().await;
    for _ in 0..3 {
        a_stream_of_large_messages_arrives_in_order(&broker).await;
    }
    let (carried_mib, kept_mib) =
        (3 * 2 * 200 * PAYLOAD_BYTES_MAX / 1024 / 1024, resident_mib(broker.pid()));
    assert!(kept_mib < 64 && carried_mib > 100, "{kept_mib} MiB after {carried_mib} MiB");
}

#[tokio::test]
async fn lines_work_over_mosquitto() {
    if let Some(mut broker) = Mosquitto::start() {
        all_of_it(&mut broker).await;
    }
}

#[tokio::test]
async fn what_must_not_be_published_is_refused() {
    let broker = Embedded::start().await;
    let (child, _parent) = both_ends(&broker.address()).await;
    let topic = || "sv1/up/s0001-p01/live".to_owned();
    assert_eq!(child.line.send(topic(), Vec::new()), Err(Unsent::Size(0)));
    assert_eq!(
        child.line.send(topic(), vec![0; PAYLOAD_BYTES_MAX + 1]),
        Err(Unsent::Size(PAYLOAD_BYTES_MAX + 1))
    );
}

#[tokio::test]
async fn a_line_without_a_broker_says_why_and_keeps_nothing() {
    let address = BrokerAddress::from(free_address());
    let end = End::start(LineSettings::new(
        address,
        "s0001-p01-u".to_owned(),
        "sv1/down/s0001-p01/#".to_owned(),
    ));
    let mut status = end.line.status();
    let status =
        timeout(SOON, status.wait_for(|status| status.ends >= 2)).await.unwrap().unwrap().clone();
    assert!(status.reason.contains("refused"), "{}", status.reason);
    assert_eq!(end.line.send("sv1/up/s0001-p01/live".to_owned(), vec![1]), Err(Unsent::Down));
}
