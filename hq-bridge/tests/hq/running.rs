//! A running HQ, asked by its own commands

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use selvedge_sync::admission::Admission;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use tempfile::TempDir;

use crate::desk::{CATALOGUE, STOCK, STORES};

/// How long a process may take for anything; a busy machine is slow, not wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// A settings file, and the processes that were started on it.
struct Office {
    folder: TempDir,
    page: u16,
    running: Vec<Child>,
}

impl Office {
    fn new() -> Office {
        let folder = tempfile::tempdir().unwrap();
        let (page, broker) = (free_port(), free_port());
        let text = format!(
            "data = \"hq\"\nlisten = \"127.0.0.1:{page}\"\nbroker = \"127.0.0.1:{broker}\"\nbeat_s = 1\n"
        );
        std::fs::write(folder.path().join("hq.toml"), text).unwrap();
        Office { folder, page, running: Vec::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hq-bridge"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("hq.toml"));
        command
    }

    /// Runs a command to its end: its exit code, and all it said.
    fn ask(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let said = [stdout, stderr].concat();
        (status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts HQ and waits until its line is up.
    fn start(&mut self) {
        let child =
            self.command(&["run"]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.running.push(child);
        self.wait_for("/status", "\"line_up\":true");
    }

    fn wait_for(&self, path: &str, text: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.get(path).contains(text) {
            assert!(Instant::now() < until, "{path} never said {text}: {}", self.get(path));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn get(&self, path: &str) -> String {
        let answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.page)).call();
        answer.ok().and_then(|answer| answer.into_body().read_to_string().ok()).unwrap_or_default()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn commands_go_through_the_running_hq_and_directly_when_there_is_none() {
    let mut office = Office::new();
    assert_eq!(office.ask(&["init"]).0, 0);
    let stores = office.file("stores.csv", STORES);
    assert_eq!(office.ask(&["import", "stores", shown(&stores)]).0, 0);
    office.start();

    let catalogue = office.file("catalogue.csv", &format!("{CATALOGUE}1003,x,Belt,,,,1,,\n"));
    let (code, said) = office.ask(&["import", "catalogue", shown(&catalogue)]);
    assert_eq!(code, 0);
    assert!(said.starts_with("line 4: product is \"x\""), "{said}");
    assert!(said.ends_with("catalogue: 2 rows taken, 1 refused, 1 entries written\n"), "{said}");
    let stock = office.file("stock.csv", STOCK);
    assert_eq!(office.ask(&["import", "opening-stock", shown(&stock)]).0, 0);
    assert_eq!(office.ask(&["import", "opening-stock", shown(&stock)]).0, 2);

    let key = hex::encode(SoftwareKeys::from_seed([1; 32]).public());
    let admit =
        ["devices", "admit", "--id", "s0001-p01", "--store", "1", "--role", "pos", "--key", &key];
    let (code, text) = office.ask(&admit);
    assert_eq!((code, Admission::parse(&text).unwrap().own().label.as_str()), (0, "T1"));
    assert!(office.ask(&["devices", "list"]).1.contains("s0001-p01"));
    assert_eq!(office.ask(&["totals"]).0, 0);
    assert!(office.get("/").contains("Harbour"));
}

#[test]
fn devices_are_ended_and_numbers_signed_through_the_running_hq_and_directly() {
    let mut office = Office::new();
    office.ask(&["init"]);
    let stores = office.file("stores.csv", STORES);
    office.ask(&["import", "stores", shown(&stores)]);
    let admit = |office: &Office, id: &str, seed: u8| {
        let key = hex::encode(SoftwareKeys::from_seed([seed; 32]).public());
        let asked =
            ["devices", "admit", "--id", id, "--store", "1", "--role", "pos", "--key", &key];
        assert_eq!(office.ask(&asked).0, 0);
    };
    admit(&office, "s0001-p01", 1);
    admit(&office, "s0001-p02", 2);
    let (code, said) = office.ask(&["devices", "spare", "--store", "1"]);
    assert!(code == 0 && said.contains("4 (R1), 5 (R2)"), "{said}");
    let (code, said) = office.ask(&["devices", "close", "--id", "s0001-p01"]);
    assert!(code == 0 && said.contains("so nothing of it counts"), "{said}");
    let (code, said) = office.ask(&["status"]);
    assert!(code == 0 && said.contains("store 1 has 2 spare origins for a pos"), "{said}");

    office.start();
    let (code, said) = office.ask(&["devices", "spare", "--store", "1", "--count", "1"]);
    assert!(code == 0 && said.contains("has 3 spare origins") && said.contains("6 (R3)"), "{said}");
    let (code, said) = office.ask(&["devices", "parents", "--id", "s0001-p02", "--to", "hq"]);
    assert!(code == 0 && said.contains("s0001-p02 reports to hq"), "{said}");
    let (code, said) = office.ask(&["devices", "revoke", "--id", "s0001-p02"]);
    assert!(code == 0 && said.contains("(origin 3, T2) is revoked"), "{said}");
    let (code, said) = office.ask(&["devices", "revoke", "--id", "s0001-p02"]);
    assert!(code == 1 && said.contains("closed or revoked already"), "{said}");
    let list = office.ask(&["devices", "list"]).1;
    assert!(list.contains("closed") && list.contains("revoked") && !list.contains("R1"), "{list}");
    let (code, said) = office.ask(&["forks"]);
    assert!(code == 0 && said.starts_with("Nothing is kept as proof"), "{said}");
    let (code, said) = office.ask(&["status"]);
    assert!(code == 0 && said.contains("HQ writes, and nothing needs you."), "{said}");
    let url = format!("http://127.0.0.1:{}/devices/decisions", office.page);
    let refused = ureq::post(&url).send(r#"{"revoke":{"id":"s0001-p01","origin":null}}"#);
    assert!(matches!(refused, Err(ureq::Error::StatusCode(401))), "not without the token");
}

#[test]
fn an_hq_that_was_killed_comes_back_with_all_it_had() {
    let mut office = Office::new();
    office.ask(&["init"]);
    office.start();
    let stores = office.file("stores.csv", STORES);
    assert_eq!(office.ask(&["import", "stores", shown(&stores)]).0, 0);
    let mut first = office.running.remove(0);
    first.kill().unwrap();
    first.wait().unwrap();

    // The file by which commands find an HQ is still there, and leads nowhere.
    let (code, said) = office.ask(&["import", "stores", shown(&stores)]);
    assert_eq!((code, said.as_str()), (0, "stores: 2 rows taken, 0 refused, nothing changed\n"));
    office.start();
    office.wait_for("/status", "\"stores\":2");
}

#[test]
fn a_token_opens_the_reporting_interface_until_it_is_revoked() {
    let mut office = Office::new();
    office.ask(&["init"]);
    let (code, early) = office.ask(&["tokens", "add", "--name", "early", "--scope", "stock"]);
    assert_eq!(code, 0);
    office.start();
    let stores = office.file("stores.csv", STORES);
    office.ask(&["import", "stores", shown(&stores)]);
    let token = office.ask(&["tokens", "add", "--name", "bi"]).1;
    let with = |path: &str, token: &str| {
        let url = format!("http://127.0.0.1:{}{path}", office.page);
        let answer =
            ureq::get(url).header("authorization", format!("Bearer {}", token.trim())).call();
        match answer {
            Ok(answer) => (200, answer.into_body().read_to_string().unwrap()),
            Err(ureq::Error::StatusCode(code)) => (code, String::new()),
            Err(why) => panic!("{why}"),
        }
    };
    assert!(with("/v1/stores", &token).1.contains("Harbour"));
    assert_eq!((with("/v1/stores", &early).0, with("/v1/receipts", &early).0), (200, 403));
    assert_eq!(office.ask(&["tokens", "revoke", "--name", "bi"]).0, 0);
    assert_eq!(with("/v1/stores", &token).0, 401);
    let (_, list) = office.ask(&["tokens", "list"]);
    assert!(list.contains("early") && !list.contains(token.trim()), "{list}");
    let (code, said) = office.ask(&["tokens", "revoke", "--name", "bi"]);
    assert!(code == 1 && said.contains("no token named bi"), "{said}");
}

#[test]
fn a_page_that_listens_hears_what_changes_and_does_not_keep_hq_alive() {
    let mut office = Office::new();
    office.ask(&["init"]);
    office.start();
    let mut line = TcpStream::connect(("127.0.0.1", office.page)).unwrap();
    line.set_read_timeout(Some(DEADLINE)).unwrap();
    line.write_all(b"GET /fleet-events HTTP/1.1\r\nHost: hq\r\n\r\n").unwrap();
    let stores = office.file("stores.csv", STORES);
    office.ask(&["import", "stores", shown(&stores)]);
    let mut news = String::new();
    let mut reader = BufReader::new(line);
    while !news.contains("Harbour") {
        news.clear();
        assert!(reader.read_line(&mut news).unwrap() > 0, "the stream ended");
    }
    assert!(news.starts_with("data:"), "{news}");
    let mut child = office.running.remove(0);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_second_hq_and_a_missing_file_say_what_to_do() {
    let mut office = Office::new();
    let (code, said) = office.ask(&["run"]);
    assert_eq!(code, 1);
    assert!(said.contains("run `hq-bridge init` once"), "{said}");
    office.ask(&["init"]);
    office.start();
    let (code, said) = office.ask(&["run"]);
    assert_eq!(code, 1);
    assert!(said.contains("change `listen`"), "{said}");
    let (code, said) = office.ask(&["import", "stores", "/nowhere/stores.csv"]);
    assert_eq!(code, 1);
    assert!(said.contains("/nowhere/stores.csv: No such file"), "{said}");
}

#[test]
fn nobody_without_the_token_changes_anything() {
    let mut office = Office::new();
    office.ask(&["init"]);
    office.start();
    let url = format!("http://127.0.0.1:{}/import/stores", office.page);
    let refused = ureq::post(&url).header("authorization", "Bearer guess").send(STORES);
    assert!(matches!(refused, Err(ureq::Error::StatusCode(401))));
    assert!(office.get("/status").contains("\"stores\":0"));
}
