//! Wrong, foreign or too new frames are parked, never lost

use crate::desk::{self, Place, row, store_stream};
use selvedge_sync::{
    allow_list::Row,
    changelog::{self, LogHead},
    entry::{self, Header, Layout, Op, RowChange},
    ext::Ext,
    frame::Frame,
    hlc::{Millis, Stamp},
    incoming::{Incoming, Outcome, Slice},
    open::Migration,
    origin::{Origin, Role, Stream},
    seal,
    value::{Kind, Value},
    version::Head,
};
use std::collections::VecDeque;

const MANY: Slice = Slice { rows: 10_000 };

fn office() -> Place {
    let rows = [row("s0001-p01", 3, 1, Role::Pos), row("hq-w1", 1, 0, Role::Hq)];
    Place::new(&row("s0001-b01", 2, 1, Role::BackOffice), &rows.each_ref(), true)
}

fn receive(place: &mut Place, frame: Frame) -> Outcome {
    let mut queue = VecDeque::from([Incoming::new((), frame)]);
    let mut received = place.replica.receive(Millis(9), &mut queue, MANY).unwrap();
    assert_eq!(received.len(), 1);
    received.remove(0).outcome
}

/// Entries as a device would write them, with a table and values of any kind.
struct Writer {
    row: Row,
    stream: Stream,
    head: LogHead,
    entries: Vec<Vec<u8>>,
    previous: [u8; 32],
}

impl Writer {
    fn new(row: Row, stream: Stream) -> Writer {
        let head = LogHead::none(row.origin, stream);
        Writer { row, stream, head, entries: Vec::new(), previous: head.chain }
    }

    fn wrote(&mut self, table: u32, op: Op, values: &[i64]) -> &mut Writer {
        let mut kinds = vec![Kind::Int; values.len()];
        if table == 2 {
            kinds[0] = Kind::Id;
        }
        let layout = Layout::new(kinds, vec![0, 1]);
        self.entry(table, op, 0, values, &layout)
    }

    /// Sets columns of a row whose key is its first column.
    fn set(&mut self, table: u32, key: i64, mask: u64, new: &[i64]) -> &mut Writer {
        let layout = Layout::new(vec![Kind::Int; 3], vec![0]);
        self.entry(table, Op::Update, mask, &[&[key], new].concat(), &layout)
    }

    fn entry(
        &mut self,
        table: u32,
        op: Op,
        mask: u64,
        values: &[i64],
        layout: &Layout,
    ) -> &mut Writer {
        let header = Header { epoch: 1, stamp: Stamp(5), base: 1 };
        let values = values.iter().map(|value| Value::Int(*value)).collect();
        let change = RowChange { table, op, mask, values, seen: None, named: None };
        let bytes =
            entry::encode(self.row.origin, header, &Ext::NONE, &[change], |_| layout).unwrap();
        self.head = self.head.then(self.row.origin, self.stream, &bytes, Stamp(5));
        self.entries.push(bytes);
        self
    }

    fn frame(&mut self) -> Frame {
        let origin = self.row.origin;
        let keys = desk::keys(origin.get());
        let first = self.head.seq + 1 - self.entries.len() as u64;
        let head = Head { seq: self.head.seq, chain: self.head.chain };
        let seal = seal::make(keys.as_ref(), origin, self.stream, &head, 0, 0);
        let entries = std::mem::take(&mut self.entries);
        let frame = Frame::new(origin, self.stream, first, &self.previous, seal, &entries).unwrap();
        self.previous = self.head.chain;
        frame
    }
}

/// A table whose rows name their store, as the staff does.
const CLERK: Migration = Migration {
    name: "0002_clerk",
    sql: "CREATE TABLE clerk (no INTEGER PRIMARY KEY, store INTEGER NOT NULL, pay INTEGER) STRICT;
          INSERT INTO replicated (table_id, name, rule, stream) VALUES (5, 'clerk', 'owner', 'by:store')",
};

fn clerks(place: &Place) -> String {
    let sql =
        "SELECT group_concat(no || ' ' || store || ' ' || coalesce(pay, '-'), ', ') FROM clerk";
    place.replica.db().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn pos() -> Writer {
    Writer::new(row("s0001-p01", 3, 1, Role::Pos), store_stream())
}

fn parked(place: &Place) -> Vec<String> {
    let mut select = place
        .replica
        .db()
        .prepare("SELECT seq || ' ' || reason FROM sync_parked ORDER BY seq")
        .unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_frame_twice_out_of_order_or_of_a_stranger_does_no_harm() {
    let mut place = office();
    let mut pos = pos();
    let first = pos.wrote(2, Op::Insert, &[1, 1, 5, 1]).frame();
    let second = pos.wrote(2, Op::Insert, &[1, 2, 5, 1]).frame();
    assert!(matches!(receive(&mut place, second.clone()), Outcome::Gap { have: 0 }));
    assert!(matches!(receive(&mut place, first.clone()), Outcome::Applied { seq: 1, .. }));
    assert!(matches!(receive(&mut place, first), Outcome::Known { seq: 1 }));
    assert!(matches!(receive(&mut place, second), Outcome::Applied { seq: 2, .. }));
    let mut stranger = Writer::new(row("s0001-p09", 77, 1, Role::Pos), store_stream());
    let frame = stranger.wrote(2, Op::Insert, &[9, 1, 5, 1]).frame();
    assert!(matches!(receive(&mut place, frame), Outcome::UnknownOrigin));
    assert_eq!(place.holds(), "\npart 1 1 5 1\npart 1 2 5 1\n\nsum 5 2\n");
}

#[test]
fn a_frame_with_another_key_or_another_past_is_refused() {
    let mut place = office();
    let mut forger = pos();
    forger.row.origin = Origin::new(1).unwrap();
    let frame = forger.wrote(2, Op::Insert, &[1, 1, 5, 1]).frame();
    // Sealed by the key of origin 1, yet in a chain that begins as that of origin 3.
    assert!(matches!(receive(&mut place, frame), Outcome::Refused(_)));
    let (mut one, mut other) = (pos(), pos());
    assert!(matches!(
        receive(&mut place, one.wrote(2, Op::Insert, &[1, 1, 5, 1]).frame()),
        Outcome::Applied { .. }
    ));
    other.wrote(2, Op::Insert, &[2, 1, 5, 1]).frame();
    let fork = other.wrote(2, Op::Insert, &[2, 2, 5, 1]).frame();
    assert!(matches!(receive(&mut place, fork), Outcome::Refused(_)));
    assert_eq!(place.replica.head(store_stream(), one.row.origin).seq, 1);
}

// Proves IM-08: one bad entry among many stops none of the others.
#[test]
fn what_cannot_be_applied_is_parked_and_the_stream_goes_on() {
    let mut place = office();
    let mut pos = pos();
    let frame = pos
        .wrote(2, Op::Insert, &[1, 1, 5, 1])
        .wrote(900, Op::Insert, &[1, 1])
        .wrote(3, Op::Insert, &[7, 100])
        .wrote(2, Op::Insert, &[1, 2, 5, 0])
        .wrote(2, Op::Insert, &[1, 2, 5, 4])
        .wrote(2, Op::Insert, &[1, 1, 5, 2])
        .wrote(2, Op::Delete, &[1, 1])
        .wrote(2, Op::Insert, &[1, 3, 5, 1])
        .frame();
    let outcome = receive(&mut place, frame);
    assert!(matches!(outcome, Outcome::Applied { seq: 8, parked: 6, .. }), "{outcome:?}");
    assert_eq!(
        parked(&place),
        [
            "2 UnknownTable",
            "3 NotAllowed",
            "4 Constraint",
            "5 Behind",
            "6 KeyConflict",
            "7 NotAllowed"
        ]
    );
    assert_eq!(place.holds(), "\npart 1 1 5 1\npart 1 3 5 1\n\nsum 5 2\n");
    let kept = changelog::read(place.replica.db(), store_stream(), pos.row.origin, 1, 99, u64::MAX);
    assert_eq!(kept.unwrap().len(), 8);
}

// Other stores do not hear of this device and could verify none of it, so it is not kept to be passed on.
#[test]
fn a_store_does_not_write_into_the_stream_of_another() {
    for foreign in [Stream::CHAIN, Stream::store(2).unwrap()] {
        let mut place = office();
        let mut writer = Writer::new(row("s0001-p01", 3, 1, Role::Pos), foreign);
        let frame = writer.wrote(2, Op::Insert, &[1, 1, 5, 1]).frame();
        assert!(matches!(receive(&mut place, frame), Outcome::ForeignStream));
        assert!(parked(&place).is_empty());
        assert_eq!(place.replica.head(foreign, writer.row.origin).seq, 0);
        assert_eq!(place.replica.cut(foreign, writer.row.origin, 1).unwrap(), None);
    }
}

#[test]
fn a_row_that_a_liar_could_not_write_holds_up_nobody_else() {
    let mut place = office();
    let lie = pos().wrote(3, Op::Insert, &[7, 1]).frame();
    assert!(matches!(receive(&mut place, lie), Outcome::Applied { parked: 1, .. }));
    let mut hq = Writer::new(row("hq-w1", 1, 0, Role::Hq), Stream::CHAIN);
    let frame = hq.wrote(3, Op::Insert, &[7, 100]).set(3, 7, 0b10, &[200]).frame();
    assert!(matches!(receive(&mut place, frame), Outcome::Applied { parked: 0, .. }));
    assert_eq!(place.holds(), "\n\nrate 7 200 -\n\n");
}

// An update carries the columns that changed, and the column of the store is none of them.
#[test]
fn a_row_that_names_its_store_can_be_changed_and_only_in_its_own_stream() {
    let mut place = office().reopened(&[CLERK]);
    let mut own = Writer::new(row("hq-w1", 1, 0, Role::Hq), store_stream());
    let mut other = Writer::new(row("hq-w1", 1, 0, Role::Hq), Stream::store(2).unwrap());
    let added = own.wrote(5, Op::Insert, &[1, 1]).set(5, 1, 0b100, &[20]).frame();
    assert!(matches!(receive(&mut place, added), Outcome::Applied { parked: 0, .. }));
    assert_eq!(clerks(&place), "1 1 20");
    let meddling = other.set(5, 1, 0b100, &[99]).set(5, 1, 0b110, &[2, 99]).frame();
    assert!(matches!(receive(&mut place, meddling), Outcome::Applied { parked: 2, .. }));
    let moving = own.set(5, 1, 0b10, &[2]).frame();
    assert!(matches!(receive(&mut place, moving), Outcome::Applied { parked: 1, .. }));
    assert_eq!(parked(&place), ["1 NotAllowed", "2 NotAllowed", "3 NotAllowed"]);
    assert_eq!(clerks(&place), "1 1 20");
}

// Proves IM-08: the slice is begun again with care, and counts what came before the bad entry once.
#[test]
fn a_bad_entry_undoes_nothing_of_the_frames_around_it() {
    let rows = [row("s0001-p01", 3, 1, Role::Pos), row("s0001-p02", 4, 1, Role::Pos)];
    let mut place = Place::new(&row("s0001-b01", 2, 1, Role::BackOffice), &rows.each_ref(), true);
    let (mut one, mut two) = (
        Writer::new(rows[0].clone(), store_stream()),
        Writer::new(rows[1].clone(), store_stream()),
    );
    let frames = [
        one.wrote(2, Op::Insert, &[1, 1, 5, 1]).wrote(2, Op::Insert, &[1, 2, 5, 1]).frame(),
        two.wrote(2, Op::Insert, &[2, 1, 5, 1]).wrote(900, Op::Insert, &[1, 1]).frame(),
        two.wrote(2, Op::Insert, &[2, 2, 5, 1]).wrote(2, Op::Insert, &[1, 1, 5, 2]).frame(),
        one.wrote(2, Op::Insert, &[1, 3, 5, 1]).frame(),
    ];
    let mut queue: VecDeque<_> = frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    let received = place.replica.receive(Millis(9), &mut queue, MANY).unwrap();
    let told: Vec<_> = received
        .iter()
        .map(|one| match one.outcome {
            Outcome::Applied { seq, parked, .. } => (one.origin.get(), seq, parked),
            _ => panic!("{:?}", one.outcome),
        })
        .collect();
    assert_eq!(told, [(3, 2, 0), (4, 2, 1), (4, 4, 1), (3, 3, 0)]);
    assert!(queue.is_empty());
    assert!(place.holds().ends_with("\nsum 5 5\n"), "{}", place.holds());
    assert_eq!(parked(&place), ["2 UnknownTable", "4 KeyConflict"]);
}

#[test]
fn parked_entries_are_tried_again_when_the_schema_knows_them() {
    let mut place = office();
    let mut pos = pos();
    let frame = pos.wrote(900, Op::Insert, &[1, 1]).wrote(900, Op::Insert, &[1, 2]).frame();
    assert!(matches!(receive(&mut place, frame), Outcome::Applied { parked: 2, .. }));
    let newer = Migration {
        name: "0002_newer",
        sql: "CREATE TABLE newer (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;
              INSERT INTO replicated (table_id, name, rule) VALUES (900, 'newer', 'fact')",
    };
    let place = place.reopened(&[newer]);
    assert_eq!(parked(&place), [""; 0]);
    let rows: i64 =
        place.replica.db().query_row("SELECT count(*) FROM newer", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn a_slice_ends_inside_a_frame_and_goes_on_with_the_next() {
    let mut place = office();
    let mut pos = pos();
    for no in 1..=10 {
        pos.wrote(2, Op::Insert, &[1, no, 5, 1]);
    }
    let mut queue = VecDeque::from([Incoming::new((), pos.frame())]);
    let mut seqs = Vec::new();
    while !queue.is_empty() {
        for one in place.replica.receive(Millis(9), &mut queue, Slice { rows: 4 }).unwrap() {
            if let Outcome::Applied { seq, .. } = one.outcome {
                seqs.push(seq);
            }
        }
    }
    assert_eq!(seqs, [4, 8, 10]);
    assert_eq!(place.replica.head(store_stream(), pos.row.origin).seq, 10);
}
