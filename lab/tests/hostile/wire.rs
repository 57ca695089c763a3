//! One line of HTTP that sends any bytes it is told to

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take; a request that is never answered is a finding.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in small letters, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|held| held.0 == name).map_or("", |held| held.1.as_str())
    }

    pub fn kind(&self) -> &str {
        self.header("content-type").split(';').next().unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is kept, with the headers that go with each request.
pub struct Wire {
    address: SocketAddr,
    line: Option<BufReader<TcpStream>>,
    /// Headers of each request, without the end of their lines.
    pub headers: Vec<String>,
}

impl Wire {
    pub fn to(address: SocketAddr) -> Wire {
        Wire { address, line: None, headers: Vec::new() }
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, &[], None)
    }

    pub fn post(&mut self, target: &str, body: &[u8]) -> Answer {
        let form = "Content-Type: application/x-www-form-urlencoded".to_owned();
        self.send("POST", target, &[form], Some(body))
    }

    /// Sends a request with further headers. Tries a fresh line once, when the kept one was closed meanwhile.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        more: &[String],
        body: Option<&[u8]>,
    ) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for header in self.headers.iter().chain(more) {
            request.push_str(header);
            request.push_str("\r\n");
        }
        if let Some(body) = body {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let mut request = request.into_bytes();
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.unwrap_or_default());
        let is_kept = self.line.is_some();
        self.exchange(&request)
            .or_else(|| if is_kept { self.exchange(&request) } else { None })
            .unwrap_or_else(|| panic!("no answer to {method} {target}: did the program fall over?"))
    }

    fn exchange(&mut self, request: &[u8]) -> Option<Answer> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => {
                let line = TcpStream::connect(self.address).ok()?;
                line.set_read_timeout(Some(PATIENCE)).ok()?;
                line.set_nodelay(true).ok()?;
                BufReader::new(line)
            }
        };
        // A body that is too long is answered before it was read whole.
        let _ = line.get_mut().write_all(request);
        let answer = read(&mut line)?;
        let ends = answer.kind() == "text/event-stream" || answer.header("connection") == "close";
        if !ends && answer.status != 413 {
            self.line = Some(line);
        }
        Some(answer)
    }
}

fn read(line: &mut BufReader<TcpStream>) -> Option<Answer> {
    let mut first = String::new();
    line.read_line(&mut first).ok()?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = Vec::new();
        line.read_until(b'\n', &mut header).ok()?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let Some((name, value)) = header.trim_end_matches(['\r', '\n']).split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.kind() == "text/event-stream" {
        // The first message is enough; the stream never ends by itself.
        while !answer.body.ends_with(b"\n\n") {
            let chunk = chunk(line)?;
            if chunk.is_empty() {
                break;
            }
            answer.body.extend(chunk);
        }
    } else if answer.header("transfer-encoding") == "chunked" {
        answer.body = chunks(line)?;
    } else if let Ok(length) = answer.header("content-length").parse() {
        answer.body = vec![0; length];
        line.read_exact(&mut answer.body).ok()?;
    }
    Some(answer)
}

fn chunks(line: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let chunk = chunk(line)?;
        if chunk.is_empty() {
            return Some(body);
        }
        body.extend(chunk);
    }
}

fn chunk(line: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut size = String::new();
    line.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim(), 16).ok()?;
    let mut chunk = vec![0; size + 2];
    line.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    Some(chunk)
}
