//! What the engine does seldom: snapshots, trims, ends
//!
//! A snapshot taken in, a log trimmed and sealed into segments, HQ handed over to its next generation and the tail of the
//! old one taken over, rights lent and spent, a person erased.

use crate::beside;
use crate::drive::Drive;
use crate::engine_trials::{
    STEPS, Subject, Ways, back_office, hq, keys, pos, row, sale, told, trial,
};
use crate::platter::{Loss, Platter};
use crate::promise::Promise;
use crate::sidelines;
use crate::trials::{DISK, Look, Trial};
use crate::workload::Deed;
use selvedge_sync::allow_list::Row;
use selvedge_sync::erasure;
use selvedge_sync::escrow;
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::private;
use selvedge_sync::replica::Replica;
use selvedge_sync::rights::{Holder, Right};
use selvedge_sync::segment::Segments;
use selvedge_sync::succession::writer_of;
use std::collections::VecDeque;

/// All of them in one way.
pub fn in_this_way(ways: Ways) -> Vec<Trial<Promise>> {
    [installed, trimmed, sealed, handed_over, adopted, rights, erased].map(|make| make(ways)).into()
}

fn store() -> Stream {
    Stream::store(1).expect("1 is a store")
}

/// The trial with another look, behind the one that every disk must stand.
fn also(
    trial: Trial<Promise>,
    more: impl Fn(&Drive, &[Promise]) -> Result<(), String> + 'static,
) -> Trial<Promise> {
    let Trial { name, start, act, look } = trial;
    let look: Look<Promise> =
        Box::new(move |drive, made| look(drive, made).and_then(|()| more(drive, made)));
    Trial { name, start, act, look }
}

/// What a closed or a running device has left.
fn left(drive: &Drive, replica: Replica, ways: Ways) -> Platter {
    if ways.hot {
        return drive.copy().survivors(Loss::Nothing, &mut crate::dice::Dice::new(1));
    }
    drop(replica);
    drive.copy()
}

/// A new pos takes the back office's snapshot in.
fn installed(ways: Ways) -> Trial<Promise> {
    let maker = Subject::new(back_office(), ways);
    let drive = Drive::mount_copy(DISK, maker.prepared());
    let replica = maker.open(&drive).expect("the disk has power");
    let mut bytes = Vec::new();
    replica.write_snapshot(1, &mut bytes).expect("the disk has power");
    let rows = if ways.hot { 9 } else { 2 };
    drop(replica);
    let this = Subject::new(pos(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial("snapshot taken in", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        if replica.take_snapshot(Millis(70), &mut &bytes[..]).is_ok() {
            tell(Promise::Rows("SELECT count(*) FROM movement", rows));
        }
    })
}

/// Sales, and behind each the log is trimmed a little.
fn trimmed(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    let before: i64 = if ways.hot { 9 } else { 2 };
    trial("log trimmed", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        for no in 0..STEPS {
            let done = replica.write(Millis(60), |tx| sale(no).run(tx, 1));
            let Ok(Some(mark)) = done.map(|done| done.entry) else { return };
            tell(Promise::Rows("SELECT count(*) FROM sale", before + no + 1));
            if replica.trim_log(store(), acts.row.origin, mark.seq - 1, 2).is_err() {
                return;
            }
        }
    })
}

/// HQ moves old entries into segments, then trims them. What is below a floor is in a segment.
fn sealed(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(hq(), ways);
    let (start, acts, looks) = (this.prepared(), this.clone(), this.clone());
    let key = (Stream::CHAIN, this.row.origin);
    let made = trial("log sealed and trimmed", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        for no in 0..STEPS {
            let deed = Deed::Price((1..=6).map(|ware| (ware, Some(100 * no + ware))).collect());
            let done = replica.write(Millis(60), |tx| deed.run(tx, 1));
            let Ok(Some(_)) = done.map(|done| done.entry) else { return };
            tell(Promise::Rows("SELECT count(*) FROM price", 6));
            let (floor, head) = (replica.floor(key.0, key.1), replica.head(key.0, key.1).seq);
            let Ok(segments) = Segments::open(replica.path(), replica.vfs()) else { return };
            let Ok(to) = segments.seal(&replica, key, floor, head, 2) else { return };
            if replica.trim_log(key.0, key.1, to.min(head - 1), 100).is_err() {
                return;
            }
        }
    });
    also(made, move |drive, _| {
        let replica = looks.open(drive).map_err(|cause| cause.to_string())?;
        let floor = replica.floor(key.0, key.1);
        if floor == 0 {
            return Ok(());
        }
        let segments = Segments::open(replica.path(), replica.vfs());
        let segments = segments.map_err(|cause| cause.to_string())?;
        let public = keys(looks.row.origin.get());
        let public = selvedge_sync::device_keys::DeviceKeys::public(public.as_ref());
        (1..=floor).try_for_each(|seq| match segments.prove(key, seq) {
            Ok(Some(proof)) if proof.holds(&public) => Ok(()),
            other => Err(format!("entry {seq} was trimmed, and its segment says {other:?}")),
        })
    })
}

/// HQ of the next generation.
fn next() -> Row {
    let writer = writer_of(1).expect("there is a second generation");
    row(writer.get(), "hq-w1", Role::Hq)
}

/// A restored HQ becomes the next generation and says whom it follows. After any cut it goes on from where it was.
fn handed_over(ways: Ways) -> Trial<Promise> {
    let (old, new) = (Subject::new(hq(), ways), Subject::new(next(), ways));
    let start = old.prepared();
    let go_on = move |drive: &Drive| -> Result<Replica, String> {
        if let Ok(replica) = old.open(drive) {
            replica.hand_over(&new.row).map_err(|cause| cause.to_string())?;
        }
        let mut replica = new.open(drive).map_err(|cause| cause.to_string())?;
        if replica.stale().is_some() {
            let done = replica.succeed(Millis(80), keys(1).as_ref());
            done.map_err(|cause| cause.to_string())?;
        }
        Ok(replica)
    };
    let this = Subject::new(next(), ways);
    let acts = go_on.clone();
    let made = trial("HQ handed over", &this, start, move |drive, tell| {
        if acts(drive).is_ok() {
            tell(Promise::Rows("SELECT count(*) FROM succession", 1));
        }
    });
    let stands = made.look;
    let look: Look<Promise> = Box::new(move |drive, promises| {
        if promises.is_empty() {
            drop(go_on(drive)?);
        }
        stands(drive, &[Promise::Rows("SELECT count(*) FROM succession", 1)])
    });
    Trial { look, ..made }
}

/// The next generation takes over what the one before wrote past its end.
fn adopted(ways: Ways) -> Trial<Promise> {
    let (old, new) = (Subject::new(hq(), ways), Subject::new(next(), ways));
    let image = old.prepared();
    let drive = Drive::mount_copy(DISK, image.clone());
    let mut replica = old.open(&drive).expect("the disk has power");
    let from = replica.head(Stream::CHAIN, old.row.origin).seq + 1;
    for no in 0..3 {
        let deed = Deed::Price(vec![(20 + no, Some(7))]);
        assert!(replica.write(Millis(60), |tx| deed.run(tx, 1)).is_ok(), "the disk has power");
    }
    let tail = replica.cut(Stream::CHAIN, old.row.origin, from).expect("the disk has power");
    let tail = tail.expect("it wrote three").encode();
    drop(replica);
    let drive = Drive::mount_copy(DISK, image);
    let replica = old.open(&drive).expect("the disk has power");
    replica.hand_over(&new.row).expect("the row is the next one's");
    let mut replica = new.open(&drive).expect("the disk has power");
    replica.succeed(Millis(80), keys(1).as_ref()).expect("it is stale until then");
    let frame = Frame::decode(&tail).expect("an honest frame");
    let mut queue = VecDeque::from([Incoming::new((), frame)]);
    while !queue.is_empty() {
        replica.receive(Millis(81), &mut queue, Slice { rows: 50 }).expect("the disk has power");
    }
    let start = left(&drive, replica, ways);
    let acts = new.clone();
    trial("tail taken over", &new, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        if replica.adopt(Millis(90)).is_ok() {
            tell(Promise::Rows("SELECT count(*) FROM price WHERE ware BETWEEN 20 AND 22", 3));
        }
    })
}

/// The back office makes rights, lends some and spends some; a claim is not spent twice.
fn rights(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(back_office(), ways);
    let (start, acts, looks) = (this.prepared(), this.clone(), this.clone());
    let right = Right { pool: 1, item: 7 };
    let other = Holder { store: 1, device: pos().device };
    let made = trial("rights lent and spent", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        let me = replica.identity().holder();
        for no in 0..STEPS {
            let at = replica.lease_time(Millis(60));
            let done = replica.write(Millis(60), |tx| match no % 3 {
                0 => escrow::issue(tx, &me, right, 9, at).map(drop),
                1 => escrow::grant(tx, &me, right, 2, &other, at + 1_000, at).map(drop),
                _ => escrow::spend(tx, &me, right, 3, at, None),
            });
            let Ok(Some(mark)) = done.map(|done| done.entry) else { return };
            tell(told(mark, acts.row.origin));
        }
    });
    also(made, move |drive, _| {
        let replica = looks.open(drive).map_err(|cause| cause.to_string())?;
        beside::check_i08(replica.db())
    })
}

/// HQ keeps somebody's name, then erases her. Once that is written, no start shows anything of her.
fn erased(ways: Ways) -> Trial<Promise> {
    let newer = Some(sidelines::SCHEMA);
    let this = Subject { newer, ..Subject::new(hq(), ways) };
    let (start, acts, looks) = (this.prepared(), this.clone(), this.clone());
    let made = trial("person erased", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        let person = replica.next_row_id();
        let Ok(key) = replica.key_of(person, [5; 32]) else { return };
        let kept = replica.write(Millis(60), |tx| -> Result<(), Box<dyn std::error::Error>> {
            let field = sidelines::field_of(person);
            let hash = private::seal(tx, &key, &field, sidelines::CLEAR.as_bytes(), [3; 24])?;
            let sql = "INSERT INTO member (id, store, name) VALUES (row_id(), 1, ?1)";
            tx.execute(sql, [hash])?;
            Ok(())
        });
        let Ok(Some(mark)) = kept.map(|done| done.entry) else { return };
        tell(told(mark, acts.row.origin));
        let done = replica.write(Millis(61), |tx| erasure::erase(tx, person, Millis(61)));
        let Ok(Some(mark)) = done.map(|done| done.entry) else { return };
        tell(told(mark, acts.row.origin));
        drop(replica);
        let _ = acts.open(drive);
    });
    also(made, move |drive, _| {
        let replica = looks.open(drive).map_err(|cause| cause.to_string())?;
        beside::check_i22(replica.db())?;
        let question =
            "SELECT count(*) FROM private_blob WHERE subject IN (SELECT subject FROM erased)";
        let blobs: i64 = replica
            .db()
            .query_row(question, [], |row| row.get(0))
            .map_err(|cause| cause.to_string())?;
        if blobs > 0 { Err(format!("{blobs} blobs of her are kept")) } else { Ok(()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_trials::WAYS;

    #[test]
    fn each_act_comes_to_its_end_and_its_promises_are_kept() {
        for trial in [WAYS[0], WAYS[1]].into_iter().flat_map(in_this_way) {
            let drive = Drive::mount_copy(DISK, trial.start.clone());
            let mut made = Vec::new();
            (trial.act)(&drive, &mut |promise| made.push(promise));
            assert!(!made.is_empty(), "{} promises nothing", trial.name);
            assert_eq!((trial.look)(&drive, &made), Ok(()), "{}", trial.name);
        }
    }
}
