//! What must hold of rights, members and views
//!
//! The toy forms of I8 (nothing is given out twice), I9 (each double use is one dispute) and I22 (nobody's data in
//! clear, and nothing left of whom HQ has erased).

use crate::sidelines::{CLEAR, STOCK};
use crate::stage::{HQ, Stage, Verdict};
use crate::swarm::Mishap;
use crate::verdict::Finding;
use rusqlite::{Connection, Params};
use selvedge_sync::escrow;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::Input;
use selvedge_sync::topics::Kind;
use selvedge_sync::view::{self, Stretch, ViewHead};
use selvedge_sync::view_wire::ViewPart;
use std::collections::BTreeSet;

/// The answer of a question for one number.
fn number(db: &Connection, sql: &str, asked: impl Params) -> Result<i64, String> {
    let found = db.prepare_cached(sql).and_then(|mut ask| ask.query_row(asked, |row| row.get(0)));
    found.map_err(|cause| format!("the database does not answer: {cause}"))
}

/// I8, on every replica at any time: no unit is made or lost on its way, nobody moves more than was lent to it, and
/// nobody spends what is lent after its end.
pub fn check_i08(db: &Connection) -> Finding {
    const KEPT: &str = "
        SELECT count(*) FROM right_total t WHERE issued - spent <>
            (SELECT sum(units) FROM right_balance b WHERE b.pool = t.pool AND b.item = t.item)";
    const BEYOND: &str = "
        SELECT count(*) FROM right_move g WHERE step = 2 AND units <
            (SELECT ifnull(sum(units), 0) FROM right_move m WHERE m.of_lease = g.id AND m.step IN (2, 3, 4))";
    const LATE: &str = "SELECT count(*) FROM right_move WHERE step = 3 AND at >= until";
    match (number(db, KEPT, [])?, number(db, BEYOND, [])?, number(db, LATE, [])?) {
        (0, 0, 0) => Ok(()),
        (0, 0, late) => Err(format!("{late} times rights were spent after the end of their lease")),
        (0, beyond, _) => Err(format!("of {beyond} leases more was used than was lent")),
        (items, ..) => Err(format!("of {items} items units were made or lost on their way")),
    }
}

/// I8, once everybody agrees: no more is spent than was ever issued.
pub fn check_i08_together(hq: &Connection) -> Finding {
    match number(hq, "SELECT count(*) FROM right_total WHERE spent > issued", [])? {
        0 => Ok(()),
        items => Err(format!("of {items} items more was spent than was ever issued")),
    }
}

/// I9: each use beyond what was issued is one dispute, and everybody who sees the moves names the same.
pub fn check_i09(device: &Replica, hq: &Replica) -> Finding {
    let store = device.identity().store;
    let disputes = |replica: &Replica| {
        let all = escrow::disputes(replica.db()).map_err(|cause| cause.to_string())?;
        let own = all.into_iter().filter(|dispute| dispute.1.pool == store);
        Ok::<_, String>(own.collect::<Vec<_>>())
    };
    let (here, there) = (disputes(device)?, disputes(hq)?);
    if here != there {
        return Err(format!("disputes {here:?} here, {there:?} at HQ"));
    }
    let units: i64 = here.iter().map(|dispute| dispute.2).sum();
    let sql = "SELECT ifnull(sum(max(spent + overdrawn - issued, 0)), 0) FROM right_total WHERE pool = ?1";
    let beyond = number(device.db(), sql, [store])?;
    if units == beyond {
        Ok(())
    } else {
        Err(format!("{beyond} units were used beyond what was issued, {units} are in dispute"))
    }
}

/// I22, at any time: no name lies there in clear, in the log or beside it, and nothing of whom this replica has destroyed.
pub fn check_i22(db: &Connection) -> Finding {
    const KEPT: &str = "
        SELECT count(*) FROM private_blob WHERE subject IN (SELECT subject FROM erased)
        AND subject NOT IN (SELECT subject FROM sync_to_erase WHERE destroyed = 0)";
    const CLEAR_ROWS: &str = "
        SELECT (SELECT count(*) FROM sync_log WHERE instr(entry, CAST(?1 AS BLOB)) > 0)
             + (SELECT count(*) FROM private_blob WHERE instr(bytes, CAST(?1 AS BLOB)) > 0)";
    match number(db, CLEAR_ROWS, [CLEAR])? {
        0 => {}
        found => return Err(format!("{found} names lie there in clear")),
    }
    match number(db, KEPT, [])? {
        0 => Ok(()),
        kept => Err(format!("{kept} sealed names are kept of members who were destroyed here")),
    }
}

/// I22, once everybody agrees: of whom HQ has erased nothing is left, and of all others all is there.
pub fn check_i22_together(replica: &mut Replica) -> Finding {
    const LEFT: &str =
        "SELECT count(*) FROM private_blob WHERE subject IN (SELECT subject FROM erased)";
    const MISSING: &str = "
        SELECT count(*) FROM member WHERE name IS NOT NULL AND id NOT IN (SELECT subject FROM erased)
        AND name NOT IN (SELECT hash FROM private_blob)";
    let (left, missing) = (number(replica.db(), LEFT, [])?, number(replica.db(), MISSING, [])?);
    if left > 0 {
        return Err(format!("{left} sealed names of erased members are kept"));
    }
    if missing > 0 {
        return Err(format!("{missing} sealed names did not come along with their entries"));
    }
    let keys = replica.person_keys().map_err(|cause| cause.to_string())?;
    let keys: BTreeSet<i64> =
        keys.subjects().map_err(|cause| cause.to_string())?.into_iter().collect();
    for subject in keys {
        let sql = "SELECT count(*) FROM erased WHERE subject = ?1";
        if number(replica.db(), sql, [subject])? > 0 {
            return Err(format!("the key of {subject} is kept, who was erased"));
        }
    }
    Ok(())
}

/// Once everybody agrees, all have HQ's newest view, row by row.
pub fn check_view(device: &Replica, hq: &Replica) -> Finding {
    let head =
        |replica: &Replica| view::head(replica.db(), STOCK).map_err(|cause| cause.to_string());
    let rows =
        |replica: &Replica| view::rows(replica.db(), STOCK).map_err(|cause| cause.to_string());
    let (here, there) = (head(device)?, head(hq)?);
    if here != there {
        let version = |head: Option<ViewHead>| head.map_or((0, 0), |head| head.edition());
        return Err(format!(
            "version {:?} of a view here, {:?} at HQ",
            version(here),
            version(there)
        ));
    }
    if rows(device)? != rows(hq)? {
        return Err("the rows of a view are not those of HQ".to_owned());
    }
    Ok(())
}

impl Stage {
    /// A device never goes back to an older version of a view.
    pub fn look_at_views(&mut self, device: usize) -> Verdict {
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        let Ok(head) = view::head(running.replica.db(), STOCK) else { return Ok(()) };
        let now = head.map_or((0, 0), |head| head.edition());
        let before = self.sidelines.shown.insert(device, now).unwrap_or_default();
        if now < before {
            let what = format!("a view fell from version {before:?} to {now:?}");
            return Err(self.violation("I12", device, what));
        }
        Ok(())
    }

    /// What must hold on one device, whatever else is going on.
    pub fn look_beside(&self, device: usize) -> Verdict {
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        self.judge("I8", device, check_i08(running.replica.db()))?;
        self.judge("I22", device, check_i22(running.replica.db()))
    }

    /// What must hold once everybody agrees.
    pub fn agree_beside(&mut self, device: usize) -> Verdict {
        if !self.business.has_sidelines() {
            return Ok(());
        }
        if let Some(running) = &mut self.devices[device].running {
            let found = check_i22_together(&mut running.replica);
            self.judge("I22", device, found)?;
        }
        let (Some(here), Some(hq)) = (&self.devices[device].running, &self.devices[HQ].running)
        else {
            return Ok(());
        };
        self.judge("view", device, check_view(&here.replica, &hq.replica))?;
        if device != HQ {
            return self.judge("I9", device, check_i09(&here.replica, &hq.replica));
        }
        // Who sets clocks forward takes holders for lost who are not. That costs, and shows as a dispute.
        if self.faults.has(Mishap::ClockJump) {
            return Ok(());
        }
        self.judge("I8", HQ, check_i08_together(hq.replica.db()))
    }

    /// Whoever a pos reports to tells it a view that HQ has never signed, or one that is out of date.
    pub fn lie_about_a_view(&mut self, child: usize, forged: bool) -> Verdict {
        let parent = self.reports_to(child).filter(|one| *one != HQ);
        let Some(parent) = parent else { return Ok(()) };
        let Some(mouth) = &self.devices[parent].running else { return Ok(()) };
        let Some((head, rows)) = self.sidelines.first_view.clone() else { return Ok(()) };
        let mut rows: Vec<_> = rows.into_iter().map(|(key, row)| (key, Some(row))).collect();
        let mut head = head;
        if forged {
            rows = vec![(b"all".to_vec(), Some(b"for free".to_vec()))];
            let digest = view::digest([(&b"all"[..], &b"for free"[..])].into_iter());
            head = ViewHead { version: head.version + 1_000_000, digest, ..head };
            head = head.signed_by(mouth.replica.keys().as_ref());
        }
        let stretch = Stretch { head, base: 0, after: Vec::new(), rows, last: true };
        let part = ViewPart { nonce: 1, stretch, signer: self.devices[parent].origin() };
        let bytes = part.encode(mouth.replica.keys().as_ref());
        self.figures.lies += 1;
        self.trace.update(&bytes);
        let from = self.called(child, parent);
        self.tell(child, vec![Input::Message { from, kind: Kind::View, bytes }])?;
        self.look_at_views(child)
    }
}
