//! Every kind of message, at a receiver that takes it
//!
//! HQ, a back office and its pos speak with each other until a message of the wanted kind is about to arrive. So what is
//! tried on a receiver afterwards is tried in the state in which it waits for just that message, and by the path on which
//! messages come. The kinds are taken from the engine's own list: a new one does not build before it stands here.

use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::workload::{self, Deed};
use selvedge_sync::allow_list::{self, Row};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::snapshot::{self, Snap};
use selvedge_sync::talk::{HubSettings, Input, Now, Output, PeerId};
use selvedge_sync::topics::{Direction, Kind};
use selvedge_sync::view::Rows;
use selvedge_sync::wire::Need;
use std::collections::VecDeque;
use std::sync::Arc;

/// A message of which there is only one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Letter {
    /// Entries under their seal.
    Frame,
    /// What was made durable.
    Ack,
    /// What one has and wants.
    Need,
    /// Which views one has.
    ViewAsk,
    /// A stretch of a view.
    ViewPart,
    /// What a snapshot is.
    Manifest,
    /// A piece of a snapshot.
    Chunk,
    /// Which pieces one would like.
    Wish,
}

/// The letters that travel under a kind of topic in a direction.
pub fn letters(direction: Direction, kind: Kind) -> &'static [Letter] {
    match (kind, direction) {
        (Kind::Live | Kind::Bulk, _) => &[Letter::Frame],
        (Kind::Ack, _) => &[Letter::Ack],
        (Kind::Need, _) => &[Letter::Need],
        (Kind::View, Direction::Up) => &[Letter::ViewAsk],
        (Kind::View, Direction::Down) => &[Letter::ViewPart],
        (Kind::Snap, Direction::Up) => &[Letter::Wish],
        (Kind::Snap, Direction::Down) => &[Letter::Manifest, Letter::Chunk],
    }
}

fn letter_of(direction: Direction, kind: Kind, bytes: &[u8]) -> Option<Letter> {
    let letter = match kind {
        Kind::Snap => match snapshot::decode(bytes).ok()? {
            Snap::Manifest => Letter::Manifest,
            Snap::Chunk(_) => Letter::Chunk,
            Snap::Wish(_) => Letter::Wish,
        },
        _ => *letters(direction, kind).first()?,
    };
    letters(direction, kind).contains(&letter).then_some(letter)
}

/// HQ's authority, and the keys of a device by its origin.
pub fn keys(number: u32) -> Arc<SoftwareKeys> {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    Arc::new(SoftwareKeys::from_seed(seed))
}

/// The number under which the authority's keys stand.
pub const AUTHORITY: u32 = 0;

/// The row of a device.
pub fn row(number: u32, name: &str, role: Role) -> Row {
    let origin = Origin::new(number).expect("small numbers are origins");
    let device = DeviceId::new(name).expect("a good name");
    let store = if role == Role::Hq { 0 } else { 1 };
    let key = keys(number).public();
    Row::sign(origin, &device, store, role, "T1", key, keys(AUTHORITY).as_ref())
}

/// A replica and its hub.
pub struct Place {
    /// The replica.
    pub replica: Replica,
    /// Its conversations.
    pub hub: Hub,
    /// Who it is.
    pub row: Row,
    /// Its disk.
    pub drive: Drive,
}

impl Place {
    /// A place on a new disk that knows these others.
    pub fn new(row: &Row, knows: &[Row], settings: HubSettings) -> Place {
        Place::on(row.device.as_str(), row, knows, settings)
    }

    /// The same, on a disk of this name.
    pub fn on(disk: &str, row: &Row, knows: &[Row], settings: HubSettings) -> Place {
        let place = Place::start(Drive::mount(disk), row, settings.clone());
        let mut place = place.expect("the disk is new");
        let rows = [knows, std::slice::from_ref(row)].concat();
        assert_eq!(place.replica.admit(&rows), Ok(rows.len()), "the authority has signed them");
        place.hub = Hub::new(&place.replica, settings, 1).expect("the disk has power");
        place
    }

    /// What is on a disk, started; None where it does not open.
    pub fn start(drive: Drive, row: &Row, settings: HubSettings) -> Option<Place> {
        let identity = Identity {
            device: row.device.clone(),
            origin: row.origin,
            role: row.role,
            store: row.store,
            authority: keys(AUTHORITY).public(),
        };
        let replica = Replica::open(Settings {
            path: drive.path("replica.db"),
            vfs: Some(disk::VFS.to_owned()),
            identity,
            keys: keys(row.origin.get()),
            migrations: vec![workload::SCHEMA],
            cache_kib: 256,
        })
        .ok()?;
        let hub = Hub::new(&replica, settings, 2).ok()?;
        Some(Place { replica, hub, row: row.clone(), drive })
    }
}

/// Places that speak with each other: each one's parent, and what is on its way.
pub struct Post {
    /// HQ, the back office, then each pos.
    pub places: Vec<Place>,
    /// Milliseconds since the start.
    pub ms: i64,
    waiting: VecDeque<(usize, Input)>,
    cut: Vec<usize>,
}

/// Where HQ stands among the places.
pub const HQ: usize = 0;
/// Where the back office stands.
pub const OFFICE: usize = 1;
/// Where the first pos stands.
pub const POS: usize = 2;

/// What is about to come, and to whom.
type Coming<'c> = &'c mut dyn FnMut(usize, &PeerId, Kind, &[u8]) -> bool;

/// How the hubs here behave.
pub fn settings(has_parent: bool) -> HubSettings {
    HubSettings { has_parent, snapshot_above: 20, keep_entries: 4, ..HubSettings::default() }
}

impl Post {
    /// A chain of one store with one pos, all lines up.
    pub fn new() -> Post {
        disk::seed(Dice::new(1));
        let rows =
            [row(1, "hq", Role::Hq), row(2, "office", Role::BackOffice), row(3, "pos", Role::Pos)];
        let places = rows.iter().map(|row| Place::new(row, &rows, settings(row.store > 0)));
        let mut post =
            Post { places: places.collect(), ms: 1_000, waiting: VecDeque::new(), cut: Vec::new() };
        post.line(OFFICE, true);
        post.line(POS, true);
        post
    }

    /// What time it is for all.
    pub fn now(&self) -> Now {
        Now { wall: Millis(1_790_000_000_000 + self.ms), steady: Millis(self.ms) }
    }

    fn parent(at: usize) -> usize {
        if at == OFFICE { HQ } else { OFFICE }
    }

    /// Plugs the line of a place to its parent in or out.
    pub fn line(&mut self, at: usize, there: bool) {
        let child = PeerId::Child(self.places[at].row.device.clone());
        let turned = |peer| if there { Input::Up(peer) } else { Input::Down(peer) };
        self.cut.retain(|cut| *cut != at);
        if !there {
            self.cut.push(at);
        }
        self.waiting.push_back((at, turned(PeerId::Parent)));
        self.waiting.push_back((Post::parent(at), turned(child)));
    }

    /// Hands on what waits, until nothing does or what is wanted is about to arrive: then it is true.
    fn hand_on(&mut self, is_wanted: Coming<'_>) -> bool {
        while let Some((at, input)) = self.waiting.pop_front() {
            if let Input::Message { from, kind, bytes } = &input
                && is_wanted(at, from, *kind, bytes)
            {
                return true;
            }
            let now = self.now();
            let place = &mut self.places[at];
            let mut outputs = place.hub.handle(&mut place.replica, now, vec![input]);
            loop {
                let (more, again) = place.hub.work(&mut place.replica, now);
                outputs.extend(more);
                if !again {
                    break;
                }
            }
            for output in outputs {
                if let Output::Send { to, kind, bytes } = output
                    && let Some((to, from)) = self.route(at, &to)
                {
                    self.waiting.push_back((to, Input::Message { from, kind, bytes }));
                }
            }
        }
        false
    }

    fn route(&self, from: usize, to: &PeerId) -> Option<(usize, PeerId)> {
        let (to, child, peer) = match to {
            PeerId::Parent => {
                (Post::parent(from), from, PeerId::Child(self.places[from].row.device.clone()))
            }
            PeerId::Above(_) => return None,
            PeerId::Child(device) => {
                let to = self.places.iter().position(|place| place.row.device == *device)?;
                (to, to, PeerId::Parent)
            }
        };
        (!self.cut.contains(&child)).then_some((to, peer))
    }

    /// Lets time pass in steps of 100 ms; true when what is wanted is about to arrive.
    fn pass(&mut self, ms: i64, is_wanted: Coming<'_>) -> bool {
        for _ in 0..ms / 100 {
            self.ms += 100;
            self.waiting.extend((0..self.places.len()).map(|at| (at, Input::Tick)));
            if self.hand_on(is_wanted) {
                return true;
            }
        }
        false
    }

    /// Writes at a place, and tells its hub.
    pub fn write(&mut self, at: usize, deed: &Deed) {
        let wall = self.now().wall;
        let done = self.places[at].replica.write(wall, |tx| deed.run(tx, 1));
        assert!(done.is_ok(), "the disk has power");
        self.waiting.push_back((at, Input::Wrote));
    }

    /// Lets time pass, and hands on whatever is sent.
    pub fn idle(&mut self, ms: i64) {
        self.pass(ms, &mut |_, _, _, _| false);
    }

    /// Brings a message to a place, and lets that place look at its clock after so long.
    pub fn bring(&mut self, at: usize, message: Input, ms: i64) {
        self.waiting.push_back((at, message));
        self.hand_on(&mut |_, _, _, _| false);
        self.ms += ms;
        self.waiting.push_back((at, Input::Tick));
        self.hand_on(&mut |_, _, _, _| false);
    }

    fn publish(&mut self) {
        let rows: Rows = (0..9_u8).map(|key| (vec![key], vec![key; 5])).collect();
        let wall = self.now().wall;
        let done = self.places[HQ].replica.publish_view(wall, "stock", Stream::CHAIN, &rows);
        assert!(done.is_ok(), "the disk has power");
    }

    fn join(&mut self) {
        let new = row(9, "pos-9", Role::Pos);
        let wall = self.now().wall;
        let done = self.places[HQ].replica.write(wall, |tx| allow_list::insert(tx, &new));
        assert!(done.is_ok(), "the disk has power");
        self.waiting.push_back((HQ, Input::Wrote));
        let known = [self.places[HQ].row.clone(), self.places[OFFICE].row.clone()];
        self.places.push(Place::new(&new, &known, settings(true)));
        self.line(self.places.len() - 1, true);
    }

    /// A day at the store, in which every kind of message is sent.
    fn run(&mut self, is_wanted: Coming<'_>) -> bool {
        let sale = |_| Deed::Sell(vec![(1, 2), (3, 1)]);
        let priced = |no| Deed::Price((1..=4).map(|ware| (ware, Some(no + ware))).collect());
        if self.pass(2_000, is_wanted) {
            return true;
        }
        self.write(HQ, &priced(100));
        self.publish();
        self.write(POS, &sale(0));
        if self.pass(3_000, is_wanted) {
            return true;
        }
        for at in [POS, HQ] {
            let child = at.max(OFFICE);
            self.line(child, false);
            for no in 1..=100 {
                let deed = if at == POS { sale(no) } else { priced(no) };
                self.write(at, &deed);
            }
            if self.pass(1_000, is_wanted) {
                return true;
            }
            self.line(child, true);
            if self.pass(12_000, is_wanted) {
                return true;
            }
        }
        self.join();
        self.pass(12_000, is_wanted)
    }
}

impl Default for Post {
    fn default() -> Post {
        Post::new()
    }
}

/// A message that is about to arrive at a place that takes it.
pub struct Scene {
    /// What it is called.
    pub name: String,
    /// The kind of topic under which it comes.
    pub kind: Kind,
    /// Its bytes.
    pub whole: Vec<u8>,
    post: Post,
    at: usize,
    from: PeerId,
    paper: Option<u32>,
}

impl Scene {
    /// A frame that a pos sends to its back office now.
    pub fn of_frame(name: &str, post: Post, whole: Vec<u8>) -> Scene {
        let from = PeerId::Child(post.places[POS].row.device.clone());
        let (name, kind) = (name.to_owned(), Kind::Bulk);
        let mut scene = Scene { name, kind, whole, post, at: OFFICE, from, paper: None };
        scene.settle();
        scene
    }

    /// A paper of this kind that the back office finds in a need of HQ.
    pub fn of_paper(name: &str, post: Post, kind: u32, whole: Vec<u8>) -> Scene {
        let (name, from, paper) = (name.to_owned(), PeerId::Parent, Some(kind));
        let mut scene = Scene { name, kind: Kind::Need, whole, post, at: OFFICE, from, paper };
        scene.settle();
        scene
    }

    /// Whether it is a paper, which comes within a message that is in order.
    pub fn is_paper(&self) -> bool {
        self.paper.is_some()
    }

    /// The so many-th message of this kind on its way.
    fn caught(direction: Direction, kind: Kind, letter: Letter, mut nth: usize) -> Option<Scene> {
        let mut found = None;
        let mut post = Post::new();
        let came = post.run(&mut |at, from, sort, bytes| {
            let way = if *from == PeerId::Parent { Direction::Down } else { Direction::Up };
            if (way, sort) != (direction, kind) || letter_of(way, sort, bytes) != Some(letter) {
                return false;
            }
            if nth > 0 {
                nth -= 1;
                return false;
            }
            found = Some((at, from.clone(), bytes.to_vec()));
            true
        });
        let (at, from, whole) = found.filter(|_| came)?;
        let way = if direction == Direction::Up { "up" } else { "down" };
        let name = format!("{way} {} {letter:?}", kind.as_str());
        let mut scene = Scene { name, kind, whole, post, at, from, paper: None };
        scene.settle();
        Some(scene)
    }

    /// All that was due is done, so that whatever moves afterwards moves because of a message.
    fn settle(&mut self) {
        self.post.ms += 50;
        for _ in 0..2 {
            self.hand(None);
        }
    }

    fn hand(&mut self, message: Option<(Kind, Vec<u8>)>) {
        let (now, from) = (self.post.now(), self.from.clone());
        let place = &mut self.post.places[self.at];
        let input = match message {
            Some((kind, bytes)) => Input::Message { from, kind, bytes },
            None => Input::Tick,
        };
        place.hub.handle(&mut place.replica, now, vec![input]);
        while place.hub.work(&mut place.replica, now).1 {}
    }

    /// What a message that counts moves: rows of the databases, heads, and when the other side was heard.
    fn standing(&self) -> (i64, Vec<(Stream, Origin, u64)>, Option<i64>) {
        let place = &self.post.places[self.at];
        let status = place.hub.status(&place.replica, self.post.now());
        let rows = place.replica.db().prepare_cached("SELECT total_changes()");
        let rows = rows.and_then(|mut select| select.query_row([], |row| row.get(0)));
        let heard = match &self.from {
            PeerId::Child(device) => {
                let child = status.children.iter().find(|(child, _)| child == device);
                child.and_then(|(_, ms)| *ms)
            }
            _ => status.parent_heard_ms,
        };
        (rows.expect("a number of SQLite's own"), status.vector, heard)
    }

    /// Whether these bytes are a frame that says the very same. Its seal covers what it says, not how that is packed.
    pub fn reads_the_same(&self, bytes: &[u8]) -> bool {
        let frame = |bytes| Frame::decode(bytes).ok();
        matches!(self.kind, Kind::Live | Kind::Bulk)
            && frame(bytes).is_some_and(|read| frame(&self.whole) == Some(read))
    }

    /// A need of HQ, in order and new, with this paper.
    fn need(&mut self, paper: u32, bytes: &[u8]) -> Vec<u8> {
        let hq = &self.post.places[HQ].row;
        let need = Need {
            nonce: 1,
            origin: hq.origin,
            build: String::new(),
            epoch_lowest: 1,
            epoch_highest: 2,
            vectors: Vec::new(),
            want_snapshot: false,
            reply: true,
            credit_live: 0,
            credit_bulk: 0,
            ticket: 0,
            papers: vec![(paper, bytes.to_vec())],
        };
        need.encode(keys(hq.origin.get()).as_ref())
    }

    /// Whether the receiver takes this for a message of the other side, or for a paper.
    pub fn takes(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let before = self.standing();
        if let Some(paper) = self.paper {
            let need = self.need(paper, bytes);
            self.hand(Some((kind, need)));
            return before.0 != self.standing().0;
        }
        self.hand(Some((kind, bytes.to_vec())));
        let after = self.standing();
        match kind {
            // Whose frames come is heard also by what is known already; only what is kept counts.
            Kind::Live | Kind::Bulk => (before.0, before.1) != (after.0, after.1),
            Kind::Ack | Kind::Need | Kind::View | Kind::Snap => before != after,
        }
    }
}

/// The first message of a kind that its receiver takes.
fn first_taken(direction: Direction, kind: Kind, letter: Letter) -> Scene {
    let taken = (0..).map_while(|nth| Scene::caught(direction, kind, letter, nth)).zip(0..);
    let nth = taken
        .filter_map(|(mut scene, nth)| {
            let whole = scene.whole.clone();
            scene.takes(kind, &whole).then_some(nth)
        })
        .next();
    nth.and_then(|nth| Scene::caught(direction, kind, letter, nth))
        .unwrap_or_else(|| panic!("nobody takes {direction:?} {kind:?} {letter:?} in that day"))
}

/// Each kind of message in each direction, about to arrive where it is taken.
pub fn scenes() -> impl Iterator<Item = Scene> {
    let ways = [Direction::Up, Direction::Down].into_iter();
    let kinds = ways.flat_map(|way| Kind::ALL.into_iter().map(move |kind| (way, kind)));
    kinds.flat_map(|(way, kind)| {
        letters(way, kind).iter().map(move |letter| first_taken(way, kind, *letter))
    })
}
