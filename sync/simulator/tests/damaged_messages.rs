//! No damaged message passes, of any kind and in any direction

use selvedge_simulator::damage::{self, Tried};
use selvedge_simulator::letters;
use selvedge_simulator::papers;
use selvedge_sync::planted::{self, Fault};

// Proves TS-25: what a line has changed is not taken for what was sent.
#[test]
fn no_flipped_bit_and_no_cut_of_any_message_is_taken() {
    let mut all = Tried::default();
    let mut scenes = 0;
    for mut scene in letters::scenes().chain(papers::scenes()) {
        let tried = damage::all_of(&mut scene);
        println!("{:22} {:4} bytes: {tried}", scene.name, scene.whole.len());
        all.add(tried);
        let whole = scene.whole.clone();
        assert!(scene.takes(scene.kind, &whole), "{}: undamaged it is taken", scene.name);
        scenes += 1;
    }
    println!("{scenes} kinds: {all}");
    assert_eq!(all.accepted, [""; 0]);
    assert!(scenes == 16 && all.all() > 20_000, "{all}");
}

#[test]
fn a_receiver_that_looks_at_no_seal_is_found_out() {
    let mut scene = letters::scenes().next().expect("there are messages");
    planted::set(Some(Fault::SealNotVerified));
    let tried = damage::all_of(&mut scene);
    planted::set(None);
    assert!(!tried.accepted.is_empty(), "{tried}");
}

#[test]
fn no_watermark_with_a_flipped_bit_trims_a_log() {
    let tried = papers::watermarks();
    println!("watermark: {tried}");
    assert_eq!(tried.accepted, [""; 0]);
    assert_eq!(tried.flips, 928);
}
