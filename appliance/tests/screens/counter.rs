//! A checkout, and a person who uses it without scripts

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use appliance::baskets::{self, Baskets};
use appliance::config::Config;
use appliance::database::{Database, Setup};
use appliance::page::{Page, Shared};
use appliance::{clock, server};
use selvedge_domain::receipts::{self, WholeReceipt};
use selvedge_sync::admission::Admission;
use selvedge_sync::device_keys::SoftwareKeys;
use selvedge_sync::origin::Role;
use selvedge_transport::address::BrokerAddress;
use tokio::runtime::Runtime;
use ureq::Agent;

use crate::headquarters::{self, Beside, Offer};

/// What can be changed about a checkout before it starts.
pub struct Wishes {
    pub parent: Option<&'static str>,
    pub space_min_mib: u64,
    pub wall_ms: fn() -> i64,
    pub time_zone: &'static str,
    /// Further lines of its settings.
    pub settings: &'static str,
}

impl Default for Wishes {
    fn default() -> Wishes {
        let (parent, time_zone) = (None, "UTC");
        Wishes { parent, space_min_mib: 1, wall_ms: clock::wall_ms, time_zone, settings: "" }
    }
}

/// A pos of store 1 with its master data, and its files.
pub struct Store {
    pub folder: tempfile::TempDir,
    pub admission: Admission,
}

impl Store {
    pub fn new() -> Store {
        Store::of("s0001-p01", Role::Pos, "T1", &Beside::default())
    }

    /// A pos that has heard nothing from HQ yet.
    pub fn empty() -> Store {
        let store = Store::new();
        std::fs::remove_dir_all(store.data()).unwrap();
        store
    }

    pub fn back_office() -> Store {
        Store::back_office_with(&Beside::default())
    }

    pub fn back_office_with(beside: &Beside) -> Store {
        Store::of("s0001-b01", Role::BackOffice, "B1", beside)
    }

    fn of(device: &str, role: Role, label: &str, beside: &Beside) -> Store {
        let folder = tempfile::tempdir().unwrap();
        let admission = headquarters::admit_and_fill(folder.path(), device, role, label, beside);
        Store { folder, admission }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The back office gives these discounts; before the pos starts.
    pub fn offer(&self, offers: &[Offer]) {
        headquarters::offer(self.folder.path(), &self.admission, offers);
    }

    pub fn start(&self) -> Counter {
        self.start_with(Wishes::default())
    }

    pub fn start_with(&self, wishes: Wishes) -> Counter {
        Counter::start(&self.data(), &self.admission, wishes)
    }

    pub fn database(&self, runtime: &Runtime) -> Database {
        let setup = Setup {
            folder: &self.data(),
            admission: &self.admission,
            keys: Arc::new(SoftwareKeys::from_seed(headquarters::POS_SEED)),
            parent: None,
            above: Vec::new(),
            children: None,
            beat_ms: 10_000,
        };
        Database::start(setup, runtime.handle()).unwrap()
    }
}

/// The running pages and one browser.
pub struct Counter {
    runtime: Option<Runtime>,
    shared: Option<Arc<Shared>>,
    pub address: String,
    pub browser: Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub place: String,
    pub headers: BTreeMap<String, String>,
    pub page: String,
}

impl Counter {
    fn start(data: &Path, admission: &Admission, wishes: Wishes) -> Counter {
        let runtime = Runtime::new().unwrap();
        let (own, space, zone) = (admission.own(), wishes.space_min_mib, wishes.time_zone);
        let (device, role) = (own.device.as_str(), own.role.as_str());
        let written = format!(
            "device = \"{device}\"\nrole = \"{role}\"\ndata = {data:?}\nadmission = \"unused\"\n\
             space_min_mib = {space}\nlock_after_s = 86400\ntime_zone = \"{zone}\"\n{}",
            wishes.settings
        );
        let config = Config::parse(Path::new("test.toml"), &written).unwrap();
        let setup = Setup {
            folder: data,
            admission,
            keys: Arc::new(SoftwareKeys::from_seed(headquarters::POS_SEED)),
            parent: wishes.parent.map(|at| BrokerAddress::parse(at).unwrap()),
            above: Vec::new(),
            children: None,
            beat_ms: 10_000,
        };
        let database = Database::start(setup, runtime.handle()).unwrap();
        let baskets = Baskets::open(&data.join(baskets::FILE_NAME)).unwrap();
        let shared = Arc::new(Shared::new(config, database, baskets, wishes.wall_ms).unwrap());
        let listener = runtime.block_on(server::listen("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(server::serve(listener, Page(Arc::clone(&shared))));
        Counter { runtime: Some(runtime), shared: Some(shared), address, browser: browser() }
    }

    /// A person before the pages of another process.
    pub fn before(address: String) -> Counter {
        Counter { runtime: None, shared: None, address, browser: browser() }
    }

    fn shared(&self) -> &Shared {
        self.shared.as_ref().expect("another process keeps its database to itself")
    }

    /// A browser with a wiped profile.
    pub fn wipe_browser(&mut self) {
        self.browser = browser();
    }

    pub fn get(&self, path: &str) -> Answer {
        answer(self.browser.get(format!("{}{path}", self.address)).call().unwrap())
    }

    /// Asks with a method of its own, and with a body that would be a form.
    pub fn send(&self, method: &str, path: &str) -> Answer {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("connection", "close");
        answer(self.browser.run(request.body("code=1001".to_owned()).unwrap()).unwrap())
    }

    /// What our script is given instead of a page.
    pub fn get_parts(&self, path: &str) -> String {
        let request =
            self.browser.get(format!("{}{path}", self.address)).header("X-Fragments", "1");
        answer(request.call().unwrap()).page
    }

    /// The first message of an EventSource.
    pub fn first_news(&self, path: &str) -> String {
        let mut response = self.browser.get(format!("{}{path}", self.address)).call().unwrap();
        let mut lines = BufReader::new(response.body_mut().as_reader()).lines();
        let told = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty());
        told.collect::<Vec<String>>().join("\n")
    }

    /// Posts fields as they are, and does not follow; but a receipt is looked at.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post_and_leave(path, fields);
        if answer.place == "/checkout/done" {
            self.look();
        }
        answer
    }

    /// Looks at the receipt as each browser does, with all that its page names.
    pub fn look(&self) -> String {
        let page = self.get("/checkout/done").page;
        assert!(page.contains("href=\"/checkout/done/seen\""), "{page}");
        assert_eq!(self.get("/checkout/done/seen").status, 200);
        page
    }

    /// Posts fields as they are, and looks at nothing that comes of it.
    pub fn post_and_leave(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let sent =
            self.browser.post(format!("{}{path}", self.address)).send_form(fields.iter().copied());
        answer(sent.unwrap())
    }

    pub fn post_from(&self, origin: &str, path: &str) -> Answer {
        let request = self.browser.post(format!("{}{path}", self.address)).header("Origin", origin);
        answer(request.send_form([("request", "12345678")]).unwrap())
    }

    /// Fills the form of a page that posts to `action`, and presses its button.
    pub fn submit(&self, page: &str, action: &str, filled: &[(&str, &str)]) -> Answer {
        let fields = filled_form(page, action, filled);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields)
    }

    /// The same as our script does it.
    pub fn post_for_parts(&self, page: &str, action: &str, filled: &[(&str, &str)]) -> Answer {
        let request = self.browser.post(format!("{}{action}", self.address));
        let request = request.header("X-Fragments", "1");
        answer(request.send_form(filled_form(page, action, filled)).unwrap())
    }

    /// The same, where the program may end before it answers.
    pub fn submit_unanswered(
        &self,
        page: &str,
        action: &str,
        filled: &[(&str, &str)],
    ) -> Option<Answer> {
        let request = self.browser.post(format!("{}{action}", self.address));
        request.send_form(filled_form(page, action, filled)).ok().map(answer)
    }

    /// Loads a page, fills its form, and says where that led.
    pub fn fill(&self, path: &str, action: &str, filled: &[(&str, &str)]) -> Answer {
        self.submit(&self.get(path).page, action, filled)
    }

    pub fn sign_on(&self, badge: &str, pin: &str) -> Answer {
        self.fill("/signon", "/signon", &[("badge", badge), ("pin", pin)])
    }

    pub fn scan(&self, code: &str) -> Answer {
        self.fill("/checkout", "/checkout/add", &[("code", code)])
    }

    /// Sends a scan from a page that is no longer shown.
    pub fn scan_anyway(&self, code: &str) -> Answer {
        let (page, action) = (self.get("/checkout/find?q=").page, "/checkout/add");
        let mut fields = hidden(&page, if page.contains(action) { action } else { "/signoff" });
        fields.insert("code".to_owned(), code.to_owned());
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.post_and_leave(action, &fields)
    }

    /// Takes payment for what is in the basket.
    pub fn pay(&self, kind: &str, amount: &str) -> Answer {
        let begun = self.fill("/checkout", "/checkout/pay", &[]);
        assert_eq!((begun.status, begun.place.as_str()), (303, "/checkout/pay"));
        self.fill("/checkout/pay", "/checkout/pay/tender", &[("kind", kind), ("amount", amount)])
    }

    /// The receipts of this device, oldest first.
    pub fn receipts(&self) -> Vec<WholeReceipt> {
        let read = self.shared().database.read(|db| {
            let newest = receipts::latest_own(db, 1_000).unwrap();
            newest.iter().rev().map(|own| receipts::whole(db, own.id).unwrap().unwrap()).collect()
        });
        read.unwrap()
    }

    /// Lets a deed of the domain write, as a device of the store would have.
    pub fn write(
        &self,
        deed: impl FnOnce(&rusqlite::Transaction) -> Result<(), String> + Send + 'static,
    ) {
        self.shared.as_ref().unwrap().database.write(deed).unwrap();
    }

    /// Asks the database of the device.
    pub fn ask<T>(&self, question: impl FnOnce(&rusqlite::Connection) -> T) -> T {
        self.shared().database.read(question).unwrap()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.database.stop();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

fn browser() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    config.max_redirects_will_error(false).build().into()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let headers: BTreeMap<String, String> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    Answer {
        status: response.status().as_u16(),
        place: headers.get("location").cloned().unwrap_or_default(),
        headers,
        page: response.body_mut().read_to_string().unwrap(),
    }
}

/// The hidden fields of a form with what is filled in.
pub fn filled_form(page: &str, action: &str, filled: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut fields = hidden(page, action);
    fields.extend(filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

/// The hidden fields of the first form that posts to `action`.
pub fn hidden(page: &str, action: &str) -> BTreeMap<String, String> {
    let start = page
        .find(&format!("action=\"{action}\""))
        .unwrap_or_else(|| panic!("no form {action} in {page}"));
    let form = &page[start..];
    let form = &form[..form.find("</form>").unwrap()];
    let hidden = form.split("<input type=\"hidden\" ").skip(1);
    hidden.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
}

fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).unwrap().1;
    value.split('"').next().unwrap().to_owned()
}
