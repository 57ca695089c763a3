//! A headless Chromium, driven over WebDriver
//!
//! WebDriver is a handful of JSON questions to chromedriver. Asked directly they need no library.

use crate::layout::free_port;
use crate::process::{Process, Programs, wait_for};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the browser may take to be there.
const READY_S: u64 = 30;
/// How long one answer may take.
const ANSWER_S: u64 = 60;

/// Whatever went wrong in the browser.
pub type Fault = Box<dyn Error + Send + Sync>;

/// One window of a browser of its own. Dropping it closes the browser.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
    _driver: Process,
}

/// Where chromedriver is, if it is installed.
pub fn driver() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|folder| folder.join("chromedriver"))
        .find(|path| path.is_file())
}

impl Browser {
    /// Starts a browser with a window of this size.
    pub fn start(
        driver: &Path,
        log: &Path,
        width_px: u32,
        height_px: u32,
    ) -> Result<Browser, Fault> {
        let address = free_port();
        let port = format!("--port={}", address.port());
        let process = Process::start(&Programs::beside_this_one()?, driver, &[&port], log, None)?;
        if !wait_for(Duration::from_secs(READY_S), || crate::chain::answers(address)) {
            return Err(format!("chromedriver did not answer: {}", process.last_words()).into());
        }
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(ANSWER_S)))
            .http_status_as_error(false);
        let agent = settings.build().new_agent();
        let size = format!("--window-size={width_px},{height_px}");
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", size] });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let made = ask(&agent, address, "/session", &wanted)?;
        let id = made["sessionId"].as_str().ok_or("chromedriver names no session")?;
        let session = format!("http://{address}/session/{id}");
        Ok(Browser { session, agent, _driver: process })
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<(), Fault> {
        self.ask("/url", &json!({ "url": url })).map(drop)
    }

    /// Runs a script in the page; its last argument is the function that takes the answer.
    pub fn answer(&self, script: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.ask("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// Gives the page exactly this size.
    pub fn resize(&self, width_px: u32, height_px: u32) -> Result<(), Fault> {
        let size = json!({ "width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        self.ask("/goog/cdp/execute", &command).map(drop)
    }

    /// What the page looks like, as the bytes of a PNG file.
    pub fn picture(&self) -> Result<Vec<u8>, Fault> {
        let mut answer = self.agent.get(format!("{}/screenshot", self.session)).call()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let text = answer["value"].as_str().ok_or("the browser gives no picture")?;
        Ok(BASE64_STANDARD.decode(text)?)
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let url = format!("{}{path}", self.session);
        posted(&self.agent, &url, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that is gone already needs no closing.
        self.agent.delete(&self.session).call().ok();
    }
}

fn ask(agent: &ureq::Agent, address: SocketAddr, path: &str, body: &Value) -> Result<Value, Fault> {
    posted(agent, &format!("http://{address}{path}"), body)
}

fn posted(agent: &ureq::Agent, url: &str, body: &Value) -> Result<Value, Fault> {
    let mut answer = agent.post(url).content_type("application/json").send(body.to_string())?;
    let mut answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) => Err(format!("the browser says {error}: {}", value["message"]).into()),
        None => Ok(value),
    }
}
