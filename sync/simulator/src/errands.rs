//! What devices do beside the trade: rights, members, views

use crate::device::Running;
use crate::shadow::Effect;
use crate::sidelines::{CLEAR, STOCK, field_of};
use crate::stage::{HQ, Stage, Verdict};
use crate::verdict::Violation;
use rusqlite::Transaction;
use selvedge_sync::allow_row::RowError;
use selvedge_sync::erasure;
use selvedge_sync::escrow::{self, EscrowError, Taken};
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::outcome::WriteError;
use selvedge_sync::page_check;
use selvedge_sync::private::{self, PrivateError};
use selvedge_sync::rights::{Holder, LOST_AFTER_MS, Right};
use selvedge_sync::talk::Input;
use selvedge_sync::view::Rows;

/// Rights to one thing, so that all devices meet on it.
const ITEM: i64 = 1;

/// Why a deed beside the trade was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SidelineError {
    #[error(transparent)]
    Rights(#[from] EscrowError),
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("the deed was not written: {0}")]
    Database(#[from] rusqlite::Error),
}

pub(crate) type Done<T> = Result<Option<T>, Box<Violation>>;

impl Stage {
    /// A device does something beside its trade, now and then.
    pub fn sideline(&mut self, device: usize) -> Verdict {
        let runs = self.devices[device].running.is_some() && self.business.has_sidelines();
        let role = self.devices[device].identity.role;
        let often = if role == Role::BackOffice { 1_000 } else { 400 };
        if !runs || !self.sidelines.dice.chance(often) {
            return Ok(());
        }
        match (role, self.sidelines.dice.below(10)) {
            (_, 0) => self.confirm(device),
            (Role::Hq, 1..=3) => self.publish(),
            (Role::Hq, 4) => self.erase(),
            (Role::Hq, _) => self.use_rights(device),
            (_, 1) => self.enrol(device),
            (_, 2) => self.note_a_card(device),
            (_, 3) => self.grab(device),
            (Role::BackOffice, 4..=8) => self.lend(device),
            _ => self.use_rights(device),
        }
    }

    /// A write beside the trade. Nothing comes back where it was refused as it may be, or where a disk failed.
    pub(crate) fn beside<T>(
        &mut self,
        device: usize,
        deed: impl FnOnce(&Transaction<'_>, &Holder, i64) -> Result<T, SidelineError>,
    ) -> Done<T> {
        let at_ms = self.at_ms;
        let acting = &mut self.devices[device];
        let (now, origin, me) = (acting.now(at_ms), acting.origin(), acting.identity.holder());
        let Some(Running { replica, .. }) = &mut acting.running else { return Ok(None) };
        let at = replica.lease_time(now.wall);
        let done = replica.write(now.wall, |tx| deed(tx, &me, at));
        let rotten = page_check::has_met_rot(replica.db());
        let troubled = rotten || acting.drive.is_dark() || self.faults.has_bad_disks();
        let value = match done {
            Ok(done) => {
                if let Some(mark) = done.entry {
                    self.ledger.acknowledge(mark.stream, origin, mark.hash, Effect::default());
                }
                Some(done.value)
            }
            Err(WriteError::InDoubt(_)) if troubled => {
                self.ledger.doubt(origin, Effect::default());
                None
            }
            Err(WriteError::Refused(SidelineError::Rights(EscrowError::NoRights { .. })))
            | Err(WriteError::Rights(EscrowError::NoRights { .. }))
            | Err(WriteError::Private(PrivateError::CardNumber { .. }))
            | Err(WriteError::Refused(SidelineError::Private(PrivateError::Erased { .. })))
            | Err(WriteError::Halted(_)) => None,
            Err(_) if troubled => None,
            Err(cause) => {
                let what =
                    format!("a deed was not written though nothing was wrong: {cause} ({cause:?})");
                return Err(self.violation("I1", device, what));
            }
        };
        self.look_after(device)?;
        if value.is_some() {
            self.tell(device, vec![Input::Wrote])?;
        }
        Ok(value)
    }

    /// The back office makes a few units, lends some, or takes back what has ended.
    fn lend(&mut self, device: usize) -> Verdict {
        let store = self.devices[device].identity.store;
        let right = Right { pool: store, item: ITEM };
        let dice = &mut self.sidelines.dice;
        let (what, units, lasts) =
            (dice.below(8), dice.between(1, 3), dice.between(10_000, 120_000));
        let whom = dice.below(1 + self.devices[device].children.len() as u64) as usize;
        let children = &self.devices[device].children;
        let borrower = if whom == 0 { HQ } else { children[whom - 1] };
        let borrower = self.devices[borrower].identity.holder();
        let none_yet = |tx: &Transaction<'_>| {
            let sql = "SELECT ifnull(sum(units), 0) FROM right_balance
                       WHERE pool = ?1 AND store = ?1 AND item = ?2 AND lease = 0";
            tx.prepare_cached(sql)?.query_row((right.pool, right.item), |row| row.get::<_, i64>(0))
        };
        let done: Option<Option<(String, i64, i64)>> = self.beside(device, |tx, me, at| {
            if what == 0 || none_yet(tx)? <= 0 {
                escrow::issue(tx, me, right, units, at)?;
            } else if what < 6 {
                escrow::grant(tx, me, right, units, &borrower, at + lasts, at)?;
            } else if let Some(lease) = escrow::to_take_back(tx, me, at)?.first() {
                escrow::take_back(tx, me, *lease, at)?;
                let sql = "SELECT to_device, until FROM right_move WHERE id = ?1";
                return Ok(Some(
                    tx.query_row(sql, [lease], |row| Ok((row.get(0)?, row.get(1)?, at)))?,
                ));
            }
            Ok(None)
        })?;
        match done.flatten() {
            Some((borrower, until, at)) => self.look_at_reclaim(device, &borrower, until, at),
            None => Ok(()),
        }
    }

    /// What was lent is taken back only where its holder cannot spend it any more, or is long lost.
    fn look_at_reclaim(&self, device: usize, borrower: &str, until: i64, at: i64) -> Verdict {
        let Some(holder) = self.devices.iter().find(|other| other.name() == borrower) else {
            return Ok(());
        };
        let Some(running) = &holder.running else { return Ok(()) };
        let may_spend = running.replica.lease_time(holder.now(self.at_ms).wall) < until;
        if may_spend && at < until + LOST_AFTER_MS {
            let what = format!("rights were taken back from {borrower}, who may still spend them");
            return Err(self.violation("I8", device, what));
        }
        Ok(())
    }

    /// A checkout takes units, with or without rights; HQ takes only what it has. What has ended goes back first.
    fn use_rights(&mut self, device: usize) -> Verdict {
        let (role, store) =
            (self.devices[device].identity.role, self.devices[device].identity.store);
        let pool = match role {
            Role::Hq => self.sidelines.dice.between(1, i64::from(self.size.stores)) as u32,
            _ => store,
        };
        let right = Right { pool, item: ITEM };
        let units = self.sidelines.dice.between(1, 2);
        let gives_back = self.sidelines.dice.chance(500);
        let done = self.beside(device, |tx, me, at| {
            if gives_back && let Some(lease) = escrow::ended(tx, me, at)?.first() {
                escrow::give_back(tx, me, *lease, at)?;
                return Ok(None);
            }
            let cause: i64 = tx.query_row("SELECT row_id()", [], |row| row.get(0))?;
            if role == Role::Hq {
                escrow::spend(tx, me, right, units, at, Some(cause))?;
                return Ok(Some((cause, Taken { spent: units, overdrawn: 0 })));
            }
            Ok(Some((cause, escrow::take(tx, me, right, units, at, Some(cause))?)))
        })?;
        let Some(Some((cause, taken))) = done else { return Ok(()) };
        let told = self.told_of(device, cause);
        let wanted = (taken.spent, taken.overdrawn, i64::from(taken.overdrawn > 0));
        if told.is_some_and(|told| told != wanted) {
            let what = format!("a checkout took {wanted:?}, its facts say {told:?}");
            return Err(self.violation("I8", device, what));
        }
        Ok(())
    }

    /// Units spent and overdrawn for a cause, and the number of facts that tell of the latter.
    fn told_of(&self, device: usize, cause: i64) -> Option<(i64, i64, i64)> {
        let running = self.devices[device].running.as_ref()?;
        let sql = "SELECT ifnull(sum(units * (step = 3)), 0), ifnull(sum(units * (step = 6)), 0),
                          ifnull(sum(step = 6), 0) FROM right_move WHERE cause = ?1";
        running.replica.db().query_row(sql, [cause], |row| row.try_into()).ok()
    }

    /// Somebody writes a spend of a thousand units past all that the engine offers.
    fn grab(&mut self, device: usize) -> Verdict {
        let store = self.devices[device].identity.store;
        let name = self.devices[device].identity.device.as_str().to_owned();
        let done = self.beside(device, |tx, _, at| {
            let sql = "INSERT INTO right_move (id, store, step, pool, item, units, from_store, from_device, of_lease, at)
                       VALUES (row_id(), ?1, 3, ?1, 1, 1000, ?1, ?2, 0, ?3)";
            Ok(tx.execute(sql, (store, name, at))?)
        })?;
        if done.is_some() {
            let what = "a thousand units were spent that nobody held".to_owned();
            return Err(self.violation("I8", device, what));
        }
        Ok(())
    }

    /// A member leaves a name.
    fn enrol(&mut self, device: usize) -> Verdict {
        let (mut fresh, mut nonce) = ([0; 32], [0; private::NONCE_BYTES]);
        self.sidelines.dice.fill(&mut fresh);
        self.sidelines.dice.fill(&mut nonce);
        let store = self.devices[device].identity.store;
        let Some(Running { replica, .. }) = &mut self.devices[device].running else {
            return Ok(());
        };
        let subject = replica.next_row_id();
        let Ok(key) = replica.key_of(subject, fresh) else { return self.look_after(device) };
        let done = self.beside(device, |tx, _, _| {
            let id: i64 = tx.query_row("SELECT row_id()", [], |row| row.get(0))?;
            let name = format!("{CLEAR} {id}");
            let hash = private::seal(tx, &key, &field_of(id), name.as_bytes(), nonce)?;
            let sql = "INSERT INTO member (id, store, name) VALUES (?1, ?2, ?3)";
            tx.execute(sql, (id, store, hash))?;
            Ok(id)
        })?;
        self.sidelines.members.extend(done);
        Ok(())
    }

    /// Somebody types the number of a card into a note.
    fn note_a_card(&mut self, device: usize) -> Verdict {
        let store = self.devices[device].identity.store;
        let done = self.beside(device, |tx, _, _| {
            let sql = "INSERT INTO member (id, store, note) VALUES (row_id(), ?1, 'pays by 4111 1111 1111 1111')";
            Ok(tx.execute(sql, [store])?)
        })?;
        if done.is_some() {
            let what = "the number of a card was written".to_owned();
            return Err(self.violation("I22", device, what));
        }
        Ok(())
    }

    /// HQ erases somebody, of whom it may not have heard yet.
    fn erase(&mut self) -> Verdict {
        let members = &self.sidelines.members;
        if members.is_empty() {
            return Ok(());
        }
        let subject = members[self.sidelines.dice.below(members.len() as u64) as usize];
        let now = self.devices[HQ].now(self.at_ms).wall;
        let done = self.beside(HQ, |tx, _, _| Ok(erasure::erase(tx, subject, now)?))?;
        self.sidelines.erased.extend(done.map(|()| subject));
        Ok(())
    }

    /// A device says that it has destroyed what it had of somebody.
    fn confirm(&mut self, device: usize) -> Verdict {
        let store = self.devices[device].identity.store;
        let now: Millis = self.devices[device].now(self.at_ms).wall;
        let done = self.beside(device, |tx, _, _| {
            if let Some(subject) = erasure::to_confirm(tx)?.first() {
                erasure::confirm(tx, store, *subject, now)?;
            }
            Ok(())
        });
        done.map(drop)
    }

    /// HQ publishes what all stores have, as far as it knows.
    fn publish(&mut self) -> Verdict {
        let now = self.devices[HQ].now(self.at_ms).wall;
        let Some(Running { replica, .. }) = &mut self.devices[HQ].running else { return Ok(()) };
        let Ok(rows) = stock(replica.db()) else { return self.look_after(HQ) };
        let published = replica.publish_view(now, STOCK, Stream::CHAIN, &rows);
        let rotten = page_check::has_met_rot(replica.db());
        let troubled = rotten || self.devices[HQ].drive.is_dark() || self.faults.has_bad_disks();
        match published {
            Ok(head) => {
                self.sidelines.first_view.get_or_insert((head, rows));
                self.look_after(HQ)?;
                self.tell(HQ, vec![Input::Tick])
            }
            Err(_) if troubled => self.look_after(HQ),
            Err(cause) => Err(self.violation("I1", HQ, format!("no view: {cause}"))),
        }
    }
}

/// Stock by store and ware, as HQ has it.
fn stock(db: &rusqlite::Connection) -> rusqlite::Result<Rows> {
    db.prepare_cached("SELECT store, ware, quantity FROM on_hand")?
        .query_map([], |row| {
            let (store, ware): (i64, i64) = (row.get(0)?, row.get(1)?);
            let quantity: i64 = row.get(2)?;
            let key = [store.to_be_bytes(), ware.to_be_bytes()].concat();
            Ok((key, quantity.to_be_bytes().to_vec()))
        })?
        .collect()
}
