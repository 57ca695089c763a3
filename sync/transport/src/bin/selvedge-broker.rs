//! Runs the embedded broker alone, or a watched one

use std::io::{self, Read};
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::thread;

use selvedge_transport::broker::{BrokerSettings, serve};
use selvedge_transport::broker_child::{BrokerChild, BrokerStatus, WatchSettings};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

const USAGE: &str = "usage: selvedge-broker broker|watched --listen 127.0.0.1:PORT   (both end when standard input ends)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [command, "--listen", listen] = words[..] else { return told(USAGE, 2) };
    let Ok(listen) = listen.parse::<SocketAddrV4>() else { return told(USAGE, 2) };
    match command {
        "broker" => match serve(&BrokerSettings::at(listen)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => told(&error.to_string(), error.exit_code()),
        },
        "watched" => watched(listen),
        _ => told(USAGE, 2),
    }
}

/// Starts a child of itself, prints how it is, and stands by until standard input ends.
fn watched(listen: SocketAddrV4) -> ExitCode {
    let child = match BrokerChild::start(WatchSettings::at(listen)) {
        Ok(child) => child,
        Err(error) => return told(&error.to_string(), error.exit_code()),
    };
    let Ok(runtime) = Builder::new_current_thread().build() else {
        return told("no runtime could be built", 1);
    };
    let (ended_in, mut ended) = oneshot::channel();
    thread::spawn(move || ended_in.send(io::stdin().lock().read_to_end(&mut Vec::new())));
    let mut status = child.status();
    runtime.block_on(async {
        loop {
            print_status(&status.borrow_and_update());
            tokio::select! {
                _ = &mut ended => return,
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    });
    ExitCode::SUCCESS
}

fn print_status(status: &BrokerStatus) {
    let word = if status.up { "up" } else { "down" };
    let pid = status.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    println!("{word} {pid} {} {}", status.restarts, status.reason);
}

fn told(sentence: &str, code: i32) -> ExitCode {
    eprintln!("{sentence}");
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
