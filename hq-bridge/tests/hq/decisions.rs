//! What HQ decides about devices, and the proof that it keeps

use expect_test::expect;
use hq_bridge::decisions::{self, Decision, Whose};
use hq_bridge::{condition, enrolment, forks};
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::writer::WriterState;

use crate::desk::{Desk, talk};
use crate::served::Served;

fn decide(desk: &Desk, decision: &Decision) -> String {
    match decisions::carry_out(&desk.database(), &desk.keys.authority, decision) {
        Ok(said) => said,
        Err(why) => format!("refused: {why}\n"),
    }
}

fn close(id: &str) -> Decision {
    Decision::Close(Whose { id: id.to_owned(), origin: None })
}

fn parents(id: &str, to: &[&str]) -> Decision {
    Decision::Parents { id: id.to_owned(), to: to.iter().map(ToString::to_string).collect() }
}

fn spare(store: u32, role: &str, count: u32) -> Decision {
    Decision::Spare { store, role: role.to_owned(), count }
}

#[test]
fn what_a_closed_device_wrote_counts_as_far_as_hq_has_heard_it() {
    let desk = Desk::stocked();
    let (mut pos, mut hq) = (desk.pos("s0001-p01", 1), desk.side());
    talk(&mut hq, &mut pos);
    pos.sell(&[1001]);
    talk(&mut hq, &mut pos);
    drop(hq);
    let seq = pos.hub.status(&pos.replica, moment()).own_head;
    let said = decide(&desk, &close("s0001-p01"));
    let first = format!(
        "s0001-p01 (origin 2, T1) is closed: what it wrote counts up to entry {seq} for its store.\n"
    );
    assert!(said.starts_with(&first), "{said}");
    assert_eq!(
        decide(&desk, &close("s0001-p01")),
        "refused: s0001-p01 is closed or revoked already; nothing was changed\n"
    );
    let mut hq = desk.side();
    talk(&mut hq, &mut pos);
    assert_eq!(pos.replica.writer_state(), WriterState::Over);
}

/// Any moment: no age is looked at.
fn moment() -> selvedge_sync::talk::Now {
    let now = selvedge_sync::hlc::Millis(0);
    selvedge_sync::talk::Now { wall: now, steady: now }
}

#[test]
fn a_decision_that_cannot_be_is_refused_with_what_to_do() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    desk.admit("s0001-b01", 2, None).unwrap();
    desk.admit("s0002-b01", 3, None).unwrap();
    let asked = [
        close("s0001-p09"),
        close("hq"),
        Decision::Revoke(Whose { id: "s0001-p01".to_owned(), origin: Some(9) }),
        spare(7, "pos", 2),
        spare(1, "hq", 2),
        spare(1, "pos", 0),
        parents("s0001-p01", &["s0002-b01"]),
        parents("s0001-p01", &["s0001-b01", "s0001-b01"]),
        parents("s0001-p01", &["B1"]),
        Decision::Confirm { id: None },
    ];
    let said: String = asked.iter().map(|one| decide(&desk, one)).collect();
    expect![[r#"
        refused: there is no device s0001-p09; `hq-bridge devices list` names all of them
        refused: HQ cannot be ended or moved like a device; when its machine is lost, see `hq-bridge succeed`
        refused: s0001-p01 has no origin 9 that is not over yet; `hq-bridge devices list` shows its origins
        refused: store 7 is not known; import it first: `hq-bridge import stores FILE.csv`
        refused: a spare is for a `pos` or a `back-office`, not for "hq"
        refused: sign 1 to 100 spare origins at once, not 0
        refused: s0001-p01 cannot report to s0002-b01: name HQ or a device of store 1
        refused: s0001-b01 stands twice in the list; name each parent once
        refused: a device id holds 'B': write only lower-case letters, digits and dashes
        There is nothing to confirm.
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_spare_number_is_no_device_until_somebody_has_it_and_parents_stand_in_order() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    desk.admit("s0001-b01", 2, None).unwrap();
    let said = decide(&desk, &spare(1, "pos", 2))
        + &decide(&desk, &parents("s0001-p01", &["s0001-b01", "hq"]))
        + &decide(&desk, &parents("s0001-b01", &[]));
    expect![[r#"
        store 1 has 2 spare origins for a pos now; new: 4 (R1), 5 (R2)
        Its back office hands one to a device that needs it, also while HQ is out of reach.
        s0001-p01 reports to s0001-b01, then hq. It needs lines to them: `parents` in its settings.
        s0001-b01 reports to the back office of its store, then HQ. It needs lines to them: `parents` in its settings.
    "#]]
    .assert_eq(&said);
    let reader = desk.database().reader().unwrap();
    let rows = enrolment::list(&reader, &desk.keys.authority.public()).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(names, ["HQ", "T1", "B1"]);
    let parents: Vec<String> = rows[1].parents.iter().map(ToString::to_string).collect();
    assert_eq!(parents, ["s0001-b01", "hq"]);
}

#[test]
fn two_pasts_of_one_device_are_listed_with_both_ends_and_what_to_do() {
    let desk = Desk::stocked();
    let admission = desk.admit("s0001-p01", 1, None).unwrap();
    let file = desk.folder.path().join("s0001-p01.db");
    let image = desk.folder.path().join("image");
    let (mut pos, mut hq) = (desk.open_pos(&admission, 1), desk.side());
    talk(&mut hq, &mut pos);
    pos.sell(&[1001]);
    talk(&mut hq, &mut pos);
    drop(pos);
    std::fs::copy(&file, &image).unwrap();
    let mut pos = desk.open_pos(&admission, 1);
    pos.sell(&[1001]);
    talk(&mut hq, &mut pos);
    drop(pos);
    std::fs::copy(&image, &file).unwrap();
    let mut pos = desk.open_pos(&admission, 1);
    pos.sell(&[1002]);
    pos.sell(&[1002]);
    talk(&mut hq, &mut pos);
    assert_eq!(pos.replica.writer_state(), WriterState::Forked);
    drop(hq);

    let served = Served::new(&desk);
    assert!(served.get("/fleet").text.contains("used on two machines"));
    assert!(served.get("/fleet").text.contains("Two machines have written as s0001-p01"));
    assert_eq!(served.get("/v1/devices").column("writer"), ["forked"]);
    drop(served);
    let database = desk.database();
    let reader = database.reader().unwrap();
    let rows = enrolment::list(&reader, &desk.keys.authority.public()).unwrap();
    let found = forks::all(&reader, &rows).unwrap();
    let [fork] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (fork.device.as_str(), fork.stream.as_str(), fork.why.as_str()),
        ("s0001-p01", "1", "fork")
    );
    assert_eq!((fork.from, fork.held.to), (2, 2), "both have the first sale");
    assert_eq!(fork.others.iter().map(|other| other.to).collect::<Vec<_>>(), [3]);
    assert_ne!(fork.others[0].chain, fork.held.chain);
    let table = forks::table(&found);
    assert!(table.contains("two pasts from entry 2 of stream 1 on"), "{table}");
    assert!(table.contains("`hq-bridge devices revoke --id s0001-p01`"), "{table}");
    let said = condition::of(&database, &desk.keys.authority, &desk.config.data).unwrap().text();
    assert!(said.contains("! Two machines have written as s0001-p01"), "{said}");
}
