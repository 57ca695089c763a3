//! Who is admitted, as what, and what the device is given

use expect_test::expect;
use hq_bridge::enrolment;
use selvedge_sync::admission::Admission;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::origin::Role;

use crate::desk::{Desk, STORES};
use hq_bridge::import::FileKind;

fn labels(desk: &Desk) -> String {
    let reader = desk.database().reader().unwrap();
    let rows = enrolment::list(&reader, &desk.keys.authority.public()).unwrap();
    rows.iter()
        .map(|row| format!("{} {} {}\n", row.origin.get(), row.device.as_str(), row.label))
        .collect()
}

// Proves TS-40.
#[test]
fn every_incarnation_has_its_own_origin_and_series_letter() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    desk.admit("s0001-p02", 2, None).unwrap();
    desk.admit("s0001-p01", 3, None).unwrap();
    desk.admit("s0001-p03", 4, Some("T1")).unwrap();
    desk.admit("s0001-p04", 5, Some("C7")).unwrap();
    expect![[r#"
        1 hq HQ
        2 s0001-p01 T1
        3 s0001-p02 T2
        4 s0001-p01 T1b
        5 s0001-p03 T1c
        6 s0001-p04 C7
    "#]]
    .assert_eq(&labels(&desk));
}

#[test]
fn an_admission_reads_back_and_is_signed_by_hq() {
    let desk = Desk::stocked();
    let text = desk.admit("s0001-p01", 1, None).unwrap().to_text();
    let admission = Admission::parse(&text).unwrap();
    assert_eq!(admission.authority, desk.keys.authority.public());
    assert_eq!((admission.own().device.as_str(), admission.own().store), ("s0001-p01", 1));
    assert!(admission.rows.iter().all(|row| row.verify(&admission.authority).is_ok()));
    let hq: Vec<_> = admission.rows.iter().filter(|row| row.role == Role::Hq).collect();
    assert_eq!((hq.len(), hq[0].key), (1, desk.keys.writer.public()));
}

#[test]
fn what_cannot_be_admitted_is_said_and_changes_nothing() {
    let desk = Desk::new();
    let why = |done: Result<Admission, enrolment::AdmitError>| done.err().unwrap().to_string();
    expect!["store 1 is not known; import it first: `hq-bridge import stores FILE.csv`"]
        .assert_eq(&why(desk.admit("s0001-p01", 1, None)));
    desk.import(FileKind::Stores, STORES.as_bytes());
    desk.admit("s0001-p01", 1, None).unwrap();
    expect!["s0001-p01 has this key already; every device makes its own"]
        .assert_eq(&why(desk.admit("s0001-p02", 1, None)));
    expect!["a device id holds 'S': write only lower-case letters, digits and dashes"]
        .assert_eq(&why(desk.admit("S1 P1", 2, None)));
    expect![[r#"the code "till 1" is not like T1: up to 3 capital letters, up to 3 digits"#]]
        .assert_eq(&why(desk.admit("s0001-p02", 2, Some("till 1"))));
    assert_eq!(labels(&desk), "1 hq HQ\n2 s0001-p01 T1\n");
}

#[test]
fn a_code_runs_out_of_letters_after_z() {
    let desk = Desk::stocked();
    for _ in 0..26 {
        desk.admit("s0001-p01", 1, Some("T1")).unwrap();
    }
    let last = labels(&desk).lines().last().unwrap().to_string();
    assert_eq!(last, "27 s0001-p01 T1z");
    expect!["the code T1 has used up its series letters; choose another code"]
        .assert_eq(&desk.admit("s0001-p01", 1, None).err().unwrap().to_string());
}
