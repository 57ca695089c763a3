//! Power goes at every operation of the shop's deeds

use lab::retail_trials;
use selvedge_simulator::dice::Dice;
use selvedge_simulator::trials::Tally;

/// Faults change all that comes after them, so each takes a run of its own: every so many-th operation is enough here.
const FAULTS_EVERY: usize = 12;

// Proves TS-25, IM-04: what was acknowledged is there after a power cut, whole, and numbered without a gap.
#[test]
fn no_deed_of_the_shop_loses_what_it_acknowledged() {
    let (mut dice, mut tally) = (Dice::new(1), Tally::default());
    let trials = retail_trials::all().unwrap();
    let refused = trials.iter().filter(|trial| trial.promises() == 0);
    let refused: Vec<&str> = refused.map(|trial| &trial.name[..]).collect();
    assert_eq!(refused, [""; 0], "these deeds are refused");
    for trial in trials {
        tally.add(trial.cut(1, &mut dice));
        tally.add(trial.fail(FAULTS_EVERY, &mut dice));
    }
    println!("{tally}");
    assert_eq!(tally.lost, [""; 0]);
    assert!(tally.points > 400 && tally.images == 8 * tally.points, "{tally}");
    assert!(tally.faults > 100, "{tally}");
}
