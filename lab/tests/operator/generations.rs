//! HQ's disk is lost, and a backup goes on

use std::fs;
use std::path::Path;

use lab::layout::Seat;

use crate::desk::Desk;

const HQ: Seat = Seat::Hq;
const TILLS: [Seat; 2] = [Seat::Pos { store: 1, no: 1 }, Seat::Pos { store: 2, no: 1 }];

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn sell(desk: &mut Desk, sales: usize) {
    for till in TILLS {
        desk.sell(till, sales);
    }
}

fn totals_agree(desk: &mut Desk) {
    desk.until("the control totals agree", &[], |desk| desk.chain.hq(&["totals"]).is_ok());
}

#[test]
fn a_backup_goes_on_as_the_next_generation_with_all_that_the_stores_have() {
    let mut desk = Desk::with(2, 1);
    let data = desk.chain.place(HQ).data();
    let (backup, lost) = (data.with_file_name("backup"), data.with_file_name("lost"));
    sell(&mut desk, 3);
    desk.until_all_agree(&[]);
    desk.chain.stop(HQ);
    copy(&data, &backup);
    desk.chain.start(HQ).unwrap();

    // All of this is younger than the backup: sales, and what HQ itself wrote.
    sell(&mut desk, 2);
    desk.chain.hq(&["devices", "spare", "--store", "2", "--count", "3"]).unwrap();
    desk.until_all_agree(&[]);
    assert_eq!(desk.receipts_at(HQ).0, 10);
    let all = desk.receipts_at(HQ);
    desk.chain.kill(HQ);
    fs::rename(&data, &lost).unwrap();
    fs::rename(&backup, &data).unwrap();

    let said = desk.chain.hq(&["succeed"]).unwrap();
    assert!(said.contains("HQ is generation 1 now and writes as origin 65537"), "{said}");
    let said = desk.chain.hq(&["devices", "spare", "--store", "1"]).unwrap_err().to_string();
    assert!(said.contains("first takes its own entries back from its stores"), "{said}");
    desk.chain.start(HQ).unwrap();
    desk.until("HQ writes again", &[HQ], |desk| {
        desk.said(HQ, "/hq/origin") == "65537" && desk.said(HQ, "/hq/stopped").is_empty()
    });
    desk.until_all_agree(&[HQ]);
    assert_eq!(desk.receipts_at(HQ), all, "every sale and every penny");
    let said = desk.chain.hq(&["status"]).unwrap();
    assert!(
        said.contains("generation 1") && said.contains("store 2 has 3 spare origins"),
        "{said}"
    );
    sell(&mut desk, 1);
    desk.chain.hq(&["devices", "spare", "--store", "1", "--count", "1"]).unwrap();
    desk.until_all_agree(&[HQ]);
    assert_eq!(desk.receipts_at(HQ).0, 12);
    totals_agree(&mut desk);

    // Somebody starts the lost machine again.
    desk.chain.stop(HQ);
    let young = data.with_file_name("young");
    fs::rename(&data, &young).unwrap();
    fs::rename(&lost, &data).unwrap();
    desk.chain.start(HQ).unwrap();
    desk.until("the lost HQ hears that it is over", &[], |desk| {
        desk.said(HQ, "/hq/stopped").contains("this generation is over")
    });
    let said = desk.chain.hq(&["devices", "spare", "--store", "1"]).unwrap_err().to_string();
    assert!(said.contains("this generation is over"), "{said}");
    desk.sell(TILLS[0], 1);
    desk.chain.stop(HQ);
    fs::rename(&data, &lost).unwrap();
    fs::rename(&young, &data).unwrap();
    desk.chain.start(HQ).unwrap();
    desk.until_all_agree(&[HQ]);
    assert_eq!(desk.receipts_at(HQ).0, 13);
    totals_agree(&mut desk);
}
