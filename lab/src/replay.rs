//! Runs real trade figures through the chain

use crate::chain::{Chain, Wanted};
use crate::demo::Desk;
use crate::import_files;
use crate::lab_pos;
use crate::layout::Seat;
use crate::meter::{Meter, Used};
use crate::process::{Programs, wait_for};
use crate::recompute::{Recomputation, device_of};
use crate::replicas;
use crate::ring::{self, Rung};
use crate::trade_file::{self, Refusal, TradeFile};
use crate::verdict::{self, Verdict};
use selvedge_transport::engine::Engine;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Seconds between two beats.
const BEAT_S: u32 = 1;
/// How long master data may take to every pos.
const MASTER_DATA_S: u64 = 120;
/// How long HQ may take to commit the last sale.
const CATCH_UP_S: u64 = 600;

/// Whatever went wrong in a replay.
pub type Fault = Box<dyn Error + Send + Sync>;

/// What is to be replayed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The file.
    pub file: PathBuf,
    /// How many stores.
    pub stores: u32,
    /// How many points of sale in each.
    pub pos: u32,
    /// A folder that keeps the data.
    pub dir: Option<PathBuf>,
}

/// A pos of the replay.
struct Pos {
    seat: Seat,
    engine: Engine,
}

/// Rings the file up, waits for HQ and judges. Says whether all holds.
pub fn run(replay: &Replay) -> Result<bool, Fault> {
    let devices = (replay.stores * replay.pos) as usize;
    let mut check = Recomputation::new(devices);
    let begun = Instant::now();
    let file = trade_file::read(&replay.file, &mut check)?;
    println!(
        "file: {} rows in {} invoices and {} products, read in {} ms",
        file.counts.rows,
        file.invoices.len(),
        file.products.len(),
        begun.elapsed().as_millis()
    );
    let runtime = Runtime::new()?;
    let desk = Desk::at(replay.dir.clone())?;
    let mut chain = stand_up(replay, &file, &desk, &runtime)?;
    let pos = connect(&chain, &runtime)?;
    wait_for_master_data(&pos, &file)?;
    println!(
        "chain: head office, {} back offices and {devices} pos, made in {} ms with the file's products",
        replay.stores,
        begun.elapsed().as_millis()
    );

    let before = Meter::read(&mut chain);
    let file = Arc::new(file);
    let ringing = Instant::now();
    let rung = ring_all(&pos, &file)?;
    let rung_wall = ringing.elapsed();
    let caught_up = wait_for(Duration::from_secs(CATCH_UP_S), || pos.iter().all(is_at_hq));
    let used = Meter::read(&mut chain).since(&before);
    let payload: u64 =
        pos.iter().flat_map(|pos| pos.engine.payload()).map(|count| count.sent.bytes).sum();
    let totals = agreed_totals(&chain);
    for pos in &pos {
        pos.engine.stop();
    }
    chain.stop_all();

    tell_counts(&file, &rung);
    tell_cost(&used, rung_wall, payload, &rung);
    let mut verdicts = judge(&chain, &file, &check, &rung)?;
    verdicts.push(Verdict {
        rule: "head office has committed everything".to_owned(),
        holds: caught_up,
        figures: format!("{} s", used.wall.as_secs_f32()),
    });
    verdicts.push(totals);
    for verdict in &verdicts {
        println!("{}", verdict.line());
    }
    Ok(verdicts.iter().all(|verdict| verdict.holds))
}

fn stand_up(
    replay: &Replay,
    file: &TradeFile,
    desk: &Desk,
    runtime: &Runtime,
) -> Result<Chain, Fault> {
    let files = import_files::write_trade(file, replay.stores, &desk.path)?;
    let wanted = Wanted {
        desk: desk.path.clone(),
        stores: replay.stores,
        pos: replay.pos,
        beat_s: BEAT_S,
        card_terminal: false,
    };
    let mut chain = Chain::lay_out(wanted, Programs::beside_this_one()?, runtime.handle())?;
    chain.make(&files, &|_| {})?;
    for store in 1..=replay.stores {
        chain.start(Seat::BackOffice { store })?;
    }
    Ok(chain)
}

fn connect(chain: &Chain, runtime: &Runtime) -> Result<Vec<Pos>, Fault> {
    let seats = chain.seats().into_iter().filter(|seat| matches!(seat, Seat::Pos { .. }));
    seats
        .map(|seat| {
            let near = chain.line(seat).ok_or("every pos has a line")?.near;
            Ok(Pos {
                seat,
                engine: lab_pos::start(
                    chain.place(seat),
                    near,
                    Some(&ring::MIGRATION),
                    runtime.handle(),
                )?,
            })
        })
        .collect()
}

/// Waits until every pos knows the goods, their prices, the person who sells and what lies on the shelves.
fn wait_for_master_data(pos: &[Pos], file: &TradeFile) -> Result<(), Fault> {
    for pos in pos {
        let db = pos.engine.reader()?;
        let count = |table: &str| {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
                .unwrap_or(0)
        };
        let all = || {
            ["price", "variant", "stock_balance"]
                .iter()
                .all(|table| count(table) >= file.products.len() as i64)
                && count("employee") > 0
        };
        if !wait_for(Duration::from_secs(MASTER_DATA_S), all) {
            return Err(format!(
                "{} has no master data after {MASTER_DATA_S} s: {}",
                pos.seat.title(),
                pos.engine.status().reason
            )
            .into());
        }
    }
    Ok(())
}

/// Every pos rings its own invoices up, in the order of the file, all of them at the same time.
fn ring_all(pos: &[Pos], file: &Arc<TradeFile>) -> Result<Vec<Rung>, Fault> {
    std::thread::scope(|scope| {
        let ring = |(device, one)| scope.spawn(move || ring_device(one, device, pos.len(), file));
        let ringing: Vec<_> = pos.iter().enumerate().map(ring).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Rung, Fault>>| {
            thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        };
        ringing.into_iter().map(join).collect()
    })
}

fn ring_device(
    pos: &Pos,
    device: usize,
    devices: usize,
    file: &Arc<TradeFile>,
) -> Result<Rung, Fault> {
    let store = i64::from(pos.seat.store());
    let mut all = Rung::default();
    for (place, invoice) in file.invoices.iter().enumerate() {
        if device_of(&invoice.number, devices) != device {
            continue;
        }
        let shared = file.clone();
        let written =
            pos.engine.write_blocking(move |tx| ring::ring(tx, store, &shared.invoices[place]));
        let fault = |why| format!("{}: invoice {}: {why}", pos.seat.title(), invoice.number);
        all.add(written.map_err(fault)?.value);
    }
    Ok(all)
}

fn is_at_hq(pos: &Pos) -> bool {
    let status = pos.engine.status();
    status.own_head > 0 && status.hq_has >= status.own_head
}

fn agreed_totals(chain: &Chain) -> Verdict {
    let mut printed = Err(String::new());
    wait_for(Duration::from_secs(MASTER_DATA_S), || {
        printed = chain.hq(&["totals"]).map_err(|error| error.to_string());
        printed.is_ok()
    });
    let figures = match &printed {
        Ok(printed) => format!("{} lines, all equal", printed.lines().count()),
        Err(said) => said.clone(),
    };
    Verdict { rule: "control totals agree".to_owned(), holds: printed.is_ok(), figures }
}

fn tell_counts(file: &TradeFile, rung: &[Rung]) {
    let counts = &file.counts;
    println!(
        "rows: {} sold, {} taken back, {} moved, {} refused",
        counts.sold,
        counts.taken_back,
        counts.moved,
        counts.refused_in_all()
    );
    for (refusal, rows) in Refusal::ALL.iter().zip(counts.refused) {
        if rows > 0 {
            println!("  refused for {}: {rows}", refusal.words());
        }
    }
    let all = sum(rung);
    println!(
        "rung up: {} sales, {} returns, {} movements, {} rows added, {} rows found done",
        all.sales,
        all.returns,
        all.movements,
        all.rows(),
        all.rows_before
    );
}

fn tell_cost(used: &Used, rung_wall: Duration, payload: u64, rung: &[Rung]) {
    let transactions: u64 =
        rung.iter().map(|rung| rung.sales + rung.returns + rung.movements).sum();
    println!(
        "time: {:.1} s from the first invoice to head office's commit of the last ({:.1} s of it ringing up)",
        used.wall.as_secs_f64(),
        rung_wall.as_secs_f64()
    );
    println!(
        "CPU: {:.1} s in all processes, {:.1} s of it the lab with its pos",
        used.cpu_ms as f64 / 1_000.0,
        used.own_cpu_ms as f64 / 1_000.0
    );
    println!(
        "syncs: {transactions} invoices, each with a commit and sync of its own; {} flushes of all disks of the machine meanwhile",
        used.flushes
    );
    println!(
        "bytes: {} kB on the wires both ways, {} kB of it payload sent by the pos, {} MB written to disk",
        used.wire_bytes / 1_000,
        payload / 1_000,
        used.written_bytes / 1_000_000
    );
}

fn sum(rung: &[Rung]) -> Rung {
    let mut all = Rung::default();
    rung.iter().for_each(|one| all.add(*one));
    all
}

/// The money at HQ by device and in all, and the rows at HQ, against what the file says.
fn judge(
    chain: &Chain,
    file: &TradeFile,
    check: &Recomputation,
    rung: &[Rung],
) -> Result<Vec<Verdict>, Fault> {
    let mut verdicts = Vec::new();
    let expected = check.minor_by_device().ok_or("the sums of the file have parts of a penny")?;
    let seats = chain.seats().into_iter().filter(|seat| matches!(seat, Seat::Pos { .. }));
    let mut in_all = 0;
    for (seat, expected) in seats.zip(&expected) {
        let (own, at_hq) = replicas::receipts_of(chain, seat)?;
        in_all += at_hq.total_minor;
        verdicts.push(verdict::gap_free(&seat.device(), &at_hq));
        verdicts.push(Verdict {
            rule: format!("money of {} at head office is the file's", seat.device()),
            holds: at_hq.total_minor == *expected && own == at_hq,
            figures: format!("{} and {}", pounds(at_hq.total_minor), pounds(*expected)),
        });
    }
    verdicts.push(Verdict {
        rule: "money in all is the file's in exact decimals".to_owned(),
        holds: in_all == expected.iter().sum::<i64>(),
        figures: format!("{} and {}", pounds(in_all), check.in_all()),
    });
    verdicts.push(rows_at_hq(chain, file, &sum(rung))?);
    verdicts.extend(replicas::verdicts(chain)?);
    Ok(verdicts)
}

fn rows_at_hq(chain: &Chain, file: &TradeFile, rung: &Rung) -> Result<Verdict, Fault> {
    let db = replicas::reader(chain.place(Seat::Hq))?;
    let count = |question: &str| {
        db.query_row(question, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let lines = count("SELECT count(*) FROM receipt_line")?;
    let moved = count("SELECT count(*) FROM stock_movement WHERE reason = 'correction'")?;
    let counts = &file.counts;
    let refused = counts.refused_in_all();
    let taken = rung.rows() + rung.rows_before;
    Ok(Verdict {
        rule: "every row is accounted for, once".to_owned(),
        holds: lines == counts.sold + counts.taken_back
            && moved == counts.moved
            && taken + refused == counts.rows,
        figures: format!(
            "{lines} receipt lines and {moved} movements at head office, {refused} refused, {} in all",
            lines + moved + refused
        ),
    })
}

fn pounds(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02} GBP", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}
