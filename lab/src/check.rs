//! The demo without a person: trouble, and what must hold
//!
//! Sales go through the forms of real pages; cables are pulled, processes die by kill -9 in the middle, all is healed,
//! and then the databases are asked. What the done screen promised must be at head office, once.

use crate::chain::{Chain, ChainError, Wanted};
use crate::demo::{self, BEAT_S, Desk, TourError};
use crate::hands::{Hands, HandsError};
use crate::layout::Seat;
use crate::process::wait_for;
use crate::replicas;
use crate::verdict::{self, Verdict};
use crate::world::World;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Sales at each pos before any trouble.
const CALM_SALES: u64 = 5;
/// Sales with the cables out, at all pos together.
const CUT_OFF_SALES: u64 = 200;
/// Sales at each pos after the cables are back, while all catches up.
const LAST_SALES: u64 = 5;
/// How long the chain may take to say that all is at head office.
const CATCH_UP_S: u64 = 120;
/// How long a pos may take until it sells again after a kill.
const BACK_S: u64 = 60;
/// The most lines of a basket.
const LINES_MAX: usize = 4;

/// What the story is told about.
#[derive(Clone, Debug)]
pub struct Check {
    /// How many stores.
    pub stores: u32,
    /// How many points of sale in each.
    pub pos: u32,
    /// The seed of the chain and of the baskets.
    pub seed: u64,
    /// A folder that keeps the databases for a look.
    pub dir: Option<PathBuf>,
}

/// Why the story could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The desk cannot be made.
    #[error(transparent)]
    Tour(#[from] TourError),
    /// The chain does not stand.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A pos does not sell.
    #[error("{title} does not sell: {cause}")]
    NoSale {
        /// Where.
        title: String,
        /// Why.
        cause: Box<HandsError>,
    },
    /// A database cannot be read.
    #[error(transparent)]
    Replica(#[from] replicas::ReplicaError),
    /// The system refused.
    #[error("the check cannot be made: {0}")]
    System(#[from] std::io::Error),
}

/// Tells the story and says whether all of it holds.
pub fn run(check: &Check) -> Result<bool, CheckError> {
    let runtime = Runtime::new()?;
    let desk = Desk::at(check.dir.clone())?;
    let world = World::from_seed(check.seed, check.stores);
    let wanted = Wanted {
        desk: desk.path.clone(),
        stores: check.stores,
        pos: check.pos,
        beat_s: BEAT_S,
        card_terminal: true,
    };
    let (mut chain, files) = demo::lay_out(&world, wanted, &runtime)?;
    let teller = Teller { begun: Instant::now() };
    let tell = |step: &str| teller.tell(step);
    chain.make(&files, &tell)?;
    chain.start_all(&tell)?;
    let mut cashiers = cashiers(&chain, &world, check.seed);
    sign_on(&mut cashiers)?;
    teller.tell(&format!(
        "{} cashiers signed on, so badges, goods and prices have arrived",
        cashiers.len()
    ));
    calm_trade(&mut cashiers, &teller)?;
    trouble(&mut chain, &mut cashiers, &teller)?;
    heal(&mut chain, &mut cashiers, &teller)?;
    let verdicts = judge(&mut chain, &cashiers, &teller)?;
    for verdict in &verdicts {
        teller.tell(&verdict.line());
    }
    let all_hold = verdicts.iter().all(|verdict| verdict.holds);
    teller.tell(if all_hold { "All holds." } else { "Not all holds." });
    Ok(all_hold)
}

/// Tells each step with the time since the beginning.
struct Teller {
    begun: Instant,
}

impl Teller {
    fn tell(&self, step: &str) {
        println!("{:>6.1} s  {step}", self.begun.elapsed().as_secs_f64());
    }
}

/// A person at a pos, with the goods that come to it.
struct Cashier {
    seat: Seat,
    hands: Hands,
    codes: Vec<u64>,
    dice: ChaCha8Rng,
    repeats: u64,
}

impl Cashier {
    fn basket(&mut self) -> Vec<u64> {
        let lines = self.dice.random_range(1..=LINES_MAX);
        (0..lines).filter_map(|_| self.codes.choose(&mut self.dice).copied()).collect()
    }

    /// Sells once. A pos that dies meanwhile is waited for, and what lies in its basket is paid first.
    fn sell(&mut self) -> Result<(), CheckError> {
        let basket = self.basket();
        let mut tried = self.hands.sell(&basket).map(Some);
        let end = Instant::now() + Duration::from_secs(BACK_S);
        while let Err(cause) = tried {
            if Instant::now() > end {
                return Err(CheckError::NoSale {
                    title: self.seat.title(),
                    cause: Box::new(cause),
                });
            }
            self.repeats += 1;
            tried = self.sell_after_trouble(&basket);
        }
        Ok(())
    }

    fn sell_after_trouble(&mut self, basket: &[u64]) -> Result<Option<String>, HandsError> {
        let hands = &self.hands;
        wait_for(Duration::from_secs(BACK_S), || hands.sign_on().is_ok());
        match self.hands.finish()? {
            Some(number) => Ok(Some(number)),
            None => self.hands.sell(basket).map(Some),
        }
    }
}

fn cashiers(chain: &Chain, world: &World, seed: u64) -> Vec<Cashier> {
    let codes: Vec<u64> = world.variants.iter().map(|variant| variant.gtin).collect();
    let at = |(place, seat): (usize, Seat)| {
        let Seat::Pos { store, no } = seat else { return None };
        let staff: Vec<_> = world.staff_of(store).collect();
        let person = staff[no as usize % staff.len()];
        Some(Cashier {
            seat,
            hands: Hands::at(chain.page(seat), &person.badge, &person.pin),
            codes: codes.clone(),
            dice: ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(place as u64)),
            repeats: 0,
        })
    };
    chain.seats().into_iter().enumerate().filter_map(at).collect()
}

fn sign_on(cashiers: &mut [Cashier]) -> Result<(), CheckError> {
    for cashier in cashiers {
        let mut last = None;
        let signed_on = wait_for(Duration::from_secs(BACK_S), || match cashier.hands.sign_on() {
            Ok(()) => true,
            Err(cause) => {
                last = Some(cause);
                false
            }
        });
        if let (false, Some(cause)) = (signed_on, last) {
            return Err(CheckError::NoSale { title: cashier.seat.title(), cause: Box::new(cause) });
        }
    }
    Ok(())
}

fn calm_trade(cashiers: &mut [Cashier], teller: &Teller) -> Result<(), CheckError> {
    for cashier in cashiers.iter_mut() {
        for _ in 0..CALM_SALES {
            cashier.sell()?;
        }
        teller.tell(&format!("{}: {CALM_SALES} sales, all lines up", cashier.seat.title()));
    }
    Ok(())
}

/// Pulls every cable, lets all pos sell at once, and kills everything in the middle of it.
fn trouble(chain: &mut Chain, cashiers: &mut [Cashier], teller: &Teller) -> Result<(), CheckError> {
    for line in &chain.lines {
        line.wire.cut();
    }
    teller.tell("every cable is pulled");
    let sold = AtomicU64::new(0);
    let each = CUT_OFF_SALES.div_ceil(cashiers.len() as u64);
    let target = each * cashiers.len() as u64;
    let stores = chain.wanted.stores;
    std::thread::scope(|scope| {
        let selling: Vec<_> = cashiers
            .iter_mut()
            .map(|cashier| scope.spawn(|| sell_many(cashier, each, &sold)))
            .collect();
        let reached = |share: u64| {
            wait_for(Duration::from_secs(CATCH_UP_S), || {
                sold.load(Ordering::Relaxed) * 100 >= target * share
                    || selling.iter().all(|thread| thread.is_finished())
            });
            teller.tell(&format!("{} of {target} sales rung up", sold.load(Ordering::Relaxed)));
        };
        for store in 1..=stores {
            reached(20);
            kill(chain, Seat::Pos { store, no: 1 }, teller)?;
            reached(40);
            let brokers = chain.kill_broker(Seat::BackOffice { store });
            teller.tell(&format!("kill -9: the broker of store {store} ({brokers} process)"));
            kill(chain, Seat::BackOffice { store }, teller)?;
        }
        reached(60);
        kill(chain, Seat::Hq, teller)?;
        reached(80);
        kill(chain, Seat::Pos { store: stores, no: chain.wanted.pos }, teller)?;
        selling.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        })
    })?;
    let repeats: u64 = cashiers.iter().map(|cashier| cashier.repeats).sum();
    let in_doubt: u64 = cashiers.iter().map(|cashier| cashier.hands.in_doubt).sum();
    teller.tell(&format!("all {target} sales rung up, {repeats} tried again after a kill, {in_doubt} of them left in doubt"));
    Ok(())
}

fn sell_many(cashier: &mut Cashier, count: u64, sold: &AtomicU64) -> Result<(), CheckError> {
    for _ in 0..count {
        cashier.sell()?;
        sold.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn kill(chain: &mut Chain, seat: Seat, teller: &Teller) -> Result<(), CheckError> {
    chain.kill(seat);
    let begun = Instant::now();
    chain.start(seat)?;
    teller.tell(&format!(
        "kill -9: {}. Its pages answered again after {} ms",
        seat.title(),
        begun.elapsed().as_millis()
    ));
    Ok(())
}

/// Plugs all cables in, and kills once more while everybody catches up.
fn heal(chain: &mut Chain, cashiers: &mut [Cashier], teller: &Teller) -> Result<(), CheckError> {
    for line in &chain.lines {
        line.wire.heal();
    }
    teller.tell("every cable is plugged in");
    kill(chain, Seat::BackOffice { store: 1 }, teller)?;
    kill(chain, Seat::Hq, teller)?;
    let brokers = chain.kill_broker(Seat::Hq);
    teller.tell(&format!("kill -9: the broker of head office ({brokers} process)"));
    for cashier in cashiers {
        for _ in 0..LAST_SALES {
            cashier.sell()?;
        }
    }
    Ok(())
}

/// Waits until head office has everything, then ends all processes and reads every database.
fn judge(
    chain: &mut Chain,
    cashiers: &[Cashier],
    teller: &Teller,
) -> Result<Vec<Verdict>, CheckError> {
    let begun = Instant::now();
    let caught_up =
        wait_for(Duration::from_secs(CATCH_UP_S), || replicas::all_at_hq(chain).unwrap_or(false));
    teller.tell(&match caught_up {
        true => format!(
            "head office has everything, {} ms after the last sale",
            begun.elapsed().as_millis()
        ),
        false => format!("head office does not have everything after {CATCH_UP_S} s"),
    });
    let mut totals = Err(String::new());
    wait_for(Duration::from_secs(CATCH_UP_S), || {
        totals = chain.hq(&["totals"]).map_err(|error| error.to_string());
        totals.is_ok()
    });
    // What others of a store sold travels on to its siblings a moment later.
    let agree = |verdicts: Vec<Verdict>| verdicts.iter().all(|verdict| verdict.holds);
    wait_for(Duration::from_secs(CATCH_UP_S), || {
        replicas::all_stated(chain).unwrap_or(false) && replicas::verdicts(chain).is_ok_and(agree)
    });
    chain.stop_all();
    teller.tell("every process is asked to end, and the databases are read");
    let mut verdicts = replicas::verdicts(chain)?;
    for cashier in cashiers {
        let (own, at_hq) = replicas::receipts_of(chain, cashier.seat)?;
        let device = cashier.seat.device();
        verdicts.push(verdict::gap_free(&device, &at_hq));
        let promised = &cashier.hands.promised;
        verdicts.push(verdict::none_lost_or_doubled(
            &device,
            promised,
            cashier.hands.in_doubt,
            &own,
            &at_hq,
        ));
    }
    let figures = match &totals {
        Ok(printed) => printed.lines().last().unwrap_or("").to_owned(),
        Err(said) => said.clone(),
    };
    verdicts.push(Verdict {
        rule: "control totals agree".to_owned(),
        holds: totals.is_ok(),
        figures,
    });
    Ok(verdicts)
}
