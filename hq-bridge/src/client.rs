//! Asks the running HQ over loopback, when there is one

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use ureq::http::Response;
use ureq::{Agent, Body, SendBody};

use crate::decisions::Decision;
use crate::door::{self, Door};
use crate::enrolment::Request;
use crate::figures::ImportLine;
use crate::import::FileKind;
use crate::import::rows::{Refusal, Summary};
use crate::tokens::TokenWish;

/// How long a loopback connection may take before the HQ there counts as dead.
const CONNECT_MS: u64 = 2_000;

/// The longest line of an answer: a refusal holds at most a cut-short field.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A running HQ.
pub struct Client {
    door: Door,
    agent: Agent,
}

/// Why the running HQ did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It said no, with this sentence.
    #[error("{0}")]
    Refused(String),
    /// It went away in between.
    #[error("the running HQ did not answer ({0}); look at its log, then give the command again")]
    NoAnswer(String),
}

/// The HQ that runs on this data directory, if one answers.
pub fn running(data: &Path) -> Option<Client> {
    let door = door::found(data)?;
    TcpStream::connect_timeout(&door.address, Duration::from_millis(CONNECT_MS)).ok()?;
    let agent = Agent::config_builder().http_status_as_error(false).build().new_agent();
    Some(Client { door, agent })
}

impl Client {
    /// Sends a file as it is read; refused rows are told as they are answered.
    pub fn import(
        &self,
        kind: FileKind,
        from: &mut dyn Read,
        report: &mut dyn FnMut(Refusal) -> std::io::Result<()>,
    ) -> Result<Summary, ClientError> {
        let answer = self
            .post(&format!("/import/{}", kind.as_str()))
            .send(SendBody::from_reader(from))
            .map_err(|why| ClientError::NoAnswer(why.to_string()))?;
        let mut lines = BufReader::new(accepted(answer)?.into_reader());
        let broken = |why: std::io::Error| ClientError::NoAnswer(why.to_string());
        loop {
            let mut line = String::new();
            let length = (&mut lines).take(LINE_BYTES_MAX).read_line(&mut line).map_err(broken)?;
            if length == 0 {
                return Err(ClientError::NoAnswer("the list of rows ended early".to_string()));
            }
            match serde_json::from_str(&line)
                .map_err(|why| ClientError::NoAnswer(why.to_string()))?
            {
                ImportLine::Refused(refusal) => report(refusal).map_err(broken)?,
                ImportLine::Done(summary) => return Ok(summary),
                ImportLine::Stopped { error } => return Err(ClientError::Refused(error)),
            }
        }
    }

    /// Admits a device; returns the text of the admission file.
    pub fn admit(&self, request: &Request) -> Result<String, ClientError> {
        self.post_json("/devices", request)
    }

    /// Carries out what an operator decides about devices; returns what it means.
    pub fn decide(&self, decision: &Decision) -> Result<String, ClientError> {
        self.post_json("/devices/decisions", decision)
    }

    /// Does what an operator wants of the tokens; returns the answer as JSON.
    pub fn tokens(&self, wish: &TokenWish) -> Result<String, ClientError> {
        self.post_json("/tokens", wish)
    }

    fn post_json(&self, path: &str, wish: &impl Serialize) -> Result<String, ClientError> {
        let text =
            serde_json::to_string(wish).map_err(|why| ClientError::Refused(why.to_string()))?;
        let answer = self
            .post(path)
            .header("content-type", "application/json")
            .send(text)
            .map_err(|why| ClientError::NoAnswer(why.to_string()))?;
        read_all(accepted(answer)?)
    }

    /// A page or a JSON text.
    pub fn get(&self, path: &str) -> Result<String, ClientError> {
        let url = format!("http://{}{path}", self.door.address);
        let answer =
            self.agent.get(url).call().map_err(|why| ClientError::NoAnswer(why.to_string()))?;
        read_all(accepted(answer)?)
    }

    fn post(&self, path: &str) -> ureq::RequestBuilder<ureq::typestate::WithBody> {
        let url = format!("http://{}{path}", self.door.address);
        self.agent.post(url).header("authorization", format!("Bearer {}", self.door.token))
    }
}

fn accepted(answer: Response<Body>) -> Result<Body, ClientError> {
    let fine = answer.status().is_success();
    let body = answer.into_body();
    if fine { Ok(body) } else { Err(ClientError::Refused(read_all(body)?)) }
}

fn read_all(mut body: Body) -> Result<String, ClientError> {
    body.read_to_string().map_err(|why| ClientError::NoAnswer(why.to_string()))
}
