//! A real browser window, driven over WebDriver

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// One headless Chromium with a profile of its own.
pub struct Window {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

fn found(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl Window {
    /// Opens a window of 1366 by 768; says loudly why there is none where Chromium is missing.
    pub fn open() -> Option<Window> {
        Window::open_at(1_366, 768)
    }

    /// Opens a window whose pages have this many pixels.
    pub fn open_at(width: i64, height: i64) -> Option<Window> {
        let (Some(program), Some(_)) = (found("chromedriver"), found("chromium")) else {
            eprintln!(
                "SKIPPED: no chromium and chromedriver here, so no page was looked at in a browser"
            );
            return None;
        };
        let mut driver =
            Command::new(program).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let port = port(&mut driver);
        let profile = tempfile::tempdir().unwrap();
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let session = format!("http://127.0.0.1:{port}/session");
        let mut window = Window { driver, session, agent: config.into(), _profile: profile };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--window-size={width},{height}"));
        arguments.push(format!("--user-data-dir={}", window._profile.path().display()));
        let wanted =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let opened = window.send("", &wanted);
        window.session = format!("{}/{}", window.session, opened["sessionId"].as_str().unwrap());
        // A page that hangs is a fault: it must not pass because somebody waited long enough.
        window.send("/timeouts", &json!({ "pageLoad": 20_000 }));
        window.resize(width, height);
        Some(window)
    }

    /// Makes the inside of the window so wide and so high.
    pub fn resize(&self, wide: i64, high: i64) {
        let frame = self.run("return [outerWidth - innerWidth, outerHeight - innerHeight]");
        let (beside, above) = (frame[0].as_i64().unwrap(), frame[1].as_i64().unwrap());
        self.send("/window/rect", &json!({"width": wide + beside, "height": high + above}));
    }

    fn send(&self, path: &str, body: &Value) -> Value {
        let value = self.ask(path, body);
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let mut answer = self.agent.post(url).send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        answer["value"].take()
    }

    /// Keeps a picture of what the window shows.
    pub fn picture(&self, path: &std::path::Path) {
        let answer = self.agent.get(format!("{}/screenshot", self.session)).call();
        let text = answer.unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let picture = answer["value"].as_str().unwrap();
        std::fs::write(path, decoded(picture)).unwrap();
    }

    /// Loads a page.
    pub fn load(&self, url: &str) {
        self.send("/url", &json!({ "url": url }));
    }

    /// Runs a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.send("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of the page holds.
    pub fn wait(&self, expression: &str) {
        let script = format!(
            "const done = arguments[0], end = Date.now() + 15000;
             (function look() {{
               if ({expression}) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 10);
             }})()"
        );
        // A page that is left while the script looks takes the script with it: look again on the next one.
        let look = || self.ask("/execute/async", &json!({ "script": script, "args": [] }));
        let came = (0..20).map(|_| look()).find(|came| came["error"].is_null());
        let page = self.run("return document.body.innerText");
        assert_eq!(came, Some(json!(true)), "{expression} did not come true on: {page}");
    }

    /// A burst of keys as a scanner sends it, to whatever has the focus.
    pub fn scan(&self, code: &str) {
        self.run(&format!(
            "for (const key of [...'{code}', 'Enter']) document.activeElement.dispatchEvent(
               new KeyboardEvent('keydown', {{ key, bubbles: true, cancelable: true }}))"
        ));
    }

    /// What is too small, too wide, or from elsewhere on the page that is shown.
    pub fn findings(&self) -> Vec<String> {
        self.findings_below(15, 4.2)
    }

    /// As above, for controls of at least so many millimetres and letters of at least so many.
    pub fn findings_below(&self, control_mm: i64, letter_mm: f64) -> Vec<String> {
        let script = "const mm = parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--mm'));
             const bad = [], seen = e => e.offsetParent !== null && e.type !== 'hidden';
             for (const e of document.querySelectorAll('a, button, input')) if (seen(e)) {
               const box = e.getBoundingClientRect();
               if (Math.min(box.width, box.height) < CONTROL * mm - 0.5)
                 bad.push(`${e.tagName} ${e.className} ${e.innerText}: ${box.width} x ${box.height}`);
               if (!(e.innerText || e.ariaLabel || e.placeholder || e.labels?.length)) bad.push(`no name: ${e.outerHTML}`);
             }
             const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
             while (texts.nextNode()) {
               const e = texts.currentNode.parentElement, size = parseFloat(getComputedStyle(e).fontSize);
               if (texts.currentNode.data.trim() && seen(e) && size < LETTER * mm - 0.05)
                 bad.push(`small text ${size}: ${texts.currentNode.data.trim()}`);
             }
             for (const e of document.querySelectorAll('body, body *'))
               if (seen(e) && e.clientWidth && e.scrollWidth > e.clientWidth + 1) bad.push(`too wide: ${e.tagName} ${e.className}`);
             if (document.documentElement.scrollHeight > innerHeight) bad.push('the page scrolls');
             for (const e of performance.getEntriesByType('resource'))
               if (!e.name.startsWith(location.origin)) bad.push(`from elsewhere: ${e.name}`);
             return bad";
        let script = script.replace("CONTROL", &control_mm.to_string());
        let found = self.run(&script.replace("LETTER", &letter_mm.to_string()));
        let list = found.as_array().unwrap().iter();
        list.map(|finding| finding.as_str().unwrap().to_owned()).collect()
    }
}

/// The bytes of a base64 text.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = |letter: u8| LETTERS.iter().position(|known| *known == letter).map(|at| at as u32);
    let bits: Vec<u32> = text.bytes().filter_map(place).collect();
    let mut bytes = Vec::with_capacity(bits.len());
    for four in bits.chunks(4) {
        let all = four.iter().fold(0, |all, six| all << 6 | six) << (6 * (4 - four.len()));
        bytes.extend_from_slice(&all.to_be_bytes()[1..four.len()]);
    }
    bytes
}

fn port(driver: &mut Child) -> u16 {
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let number = line.rsplit("on port ").next().unwrap_or_default().trim_end_matches('.');
        if line.contains("started successfully") {
            return number.parse().unwrap();
        }
    }
    panic!("chromedriver ended before it listened");
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
