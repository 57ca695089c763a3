//! The embedded broker is watched and leaves no orphan

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::common::{
    Embedded, SOON, eventually, free_address, has_ended, program, quick_watch, signal,
};
use nix::sys::signal::Signal;
use selvedge_transport::broker::EXIT_PORT_IN_USE;
use selvedge_transport::broker_child::{BrokerChild, BrokerStatus};
use selvedge_transport::probe::Probe;
use tokio::time::timeout;

async fn status_where(broker: &Embedded, holds: impl FnMut(&BrokerStatus) -> bool) -> BrokerStatus {
    let mut status = broker.0.status();
    let found =
        timeout(SOON, status.wait_for(holds)).await.expect("in time").expect("the watch lives");
    found.clone()
}

#[tokio::test]
async fn a_broker_answers_through_itself() {
    let broker = Embedded::start().await;
    let probe =
        Probe { address: broker.0.address().clone(), name: "test".to_owned(), answer_ms: 5_000 };
    probe.ask().await.unwrap();
    let status = broker.0.status().borrow().clone();
    assert_eq!(
        status,
        BrokerStatus { up: true, pid: status.pid, restarts: 0, reason: String::new() }
    );
}

#[tokio::test]
async fn a_killed_broker_is_started_again() {
    let broker = Embedded::start().await;
    let first = broker.pid();
    signal(first, Signal::SIGKILL);
    let status = status_where(&broker, |status| status.up && status.restarts == 1).await;
    assert_ne!(status.pid, Some(first));
    assert_eq!(status.reason, "the broker's process ended (signal: 9 (SIGKILL))");
}

#[tokio::test]
async fn a_wedged_broker_is_found_and_replaced() {
    let broker = Embedded::start().await;
    let first = broker.pid();
    signal(first, Signal::SIGSTOP);
    let status = status_where(&broker, |status| status.up && status.restarts == 1).await;
    assert!(
        status.reason.starts_with("the broker did not answer 2 probes in a row"),
        "{}",
        status.reason
    );
    eventually("the wedged process is gone", || has_ended(first));
}

#[tokio::test]
async fn a_dropped_broker_ends() {
    let broker = Embedded::start().await;
    let pid = broker.pid();
    drop(broker);
    assert!(has_ended(pid));
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let listen = free_address();
    let _other = TcpListener::bind(listen).unwrap();
    let said = BrokerChild::start(quick_watch(listen)).unwrap_err().to_string();
    assert!(said.contains("is in use by another program"), "{said}");
    let child =
        Command::new(program()).args(["broker", "--listen", &listen.to_string()]).output().unwrap();
    assert_eq!(child.status.code(), Some(EXIT_PORT_IN_USE));
    assert_eq!(String::from_utf8(child.stderr).unwrap().trim(), said);
}

fn broker_of_a_killed_parent(before: impl Fn(u32)) -> u32 {
    let mut parent = Command::new(program())
        .args(["watched", "--listen", &free_address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let up = lines
        .map(Result::unwrap)
        .take(10)
        .find(|line| line.starts_with("up "))
        .expect("it comes up");
    let broker = up.split(' ').nth(1).unwrap().parse().unwrap();
    before(broker);
    parent.kill().unwrap();
    parent.wait().unwrap();
    broker
}

#[test]
fn a_broker_ends_when_its_parent_is_killed() {
    let broker = broker_of_a_killed_parent(|_| {});
    eventually("the broker has ended", || has_ended(broker));
}

#[test]
fn even_a_stopped_broker_ends_with_its_parent() {
    let broker = broker_of_a_killed_parent(|broker| signal(broker, Signal::SIGSTOP));
    eventually("the broker has ended", || has_ended(broker));
}

/// rumqttd forgets a line by its number, and gives the number on at once.
#[tokio::test]
async fn lines_that_come_and_go_cut_no_other() {
    let broker = Embedded::start().await;
    let mut askers = Vec::new();
    for asker in 0..4 {
        let (address, name) = (broker.0.address().clone(), format!("test-{asker}"));
        let probe = Probe { address, name, answer_ms: 20_000 };
        askers.push(tokio::spawn(async move {
            for _ in 0..100 {
                probe.ask().await.unwrap();
            }
        }));
    }
    for asker in askers {
        asker.await.unwrap();
    }
    assert_eq!(broker.0.status().borrow().restarts, 0);
}
