//! One HQ, stores and pos on one agenda
//!
//! A safety run never heals: faults do not stop, and every promise is checked at every start and at the end. A liveness
//! run is healed twice, and each time everybody must agree within a virtual minute. The two are never mixed: a run that
//! heals hides what is lost, and one that never heals hides what is stuck.

use crate::agenda::Agenda;
use crate::blank;
use crate::chain::{self, Chain};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::disk;
use crate::drive;
use crate::figures::Figures;
use crate::keys;
use crate::ledger::{Ledger, Vector};
use crate::liar::Liar;
use crate::network::Losses;
use crate::scheme::{Mode, Order, STORE_DAY, Size};
use crate::shadow::Effect;
use crate::sidelines::Sidelines;
use crate::stage::{HQ, Happening, Line, Stage, Verdict};
use crate::swarm::Mishap;
use crate::trade::Trade;
use crate::trimming::{Trimming, Waits};
use crate::vault::Vault;
use crate::verdict::{self, Violation};
use crate::workload::Toy;
use selvedge_sync::allow_list::{self, Row};
use selvedge_sync::origin::Stream;
use selvedge_sync::replica::Replica;
use std::rc::Rc;

/// How long all must be well before everybody agrees (I11).
pub const AGREE_MS: i64 = 60_000;

/// Promises and vectors are looked at this often, besides at every start.
const LOOK_EVERY_MS: i64 = 20_000;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One number for all that happened and all that was kept.
    pub digest: [u8; 32],
    /// What was counted.
    pub figures: Figures,
    /// Which fault met which state.
    pub coverage: Coverage,
}

/// Runs one seed of this size, with the faults that the seed allows.
pub fn run(seed: u64, size: Size) -> Result<Report, Box<Violation>> {
    run_order(seed, &Order::of(size))
}

/// Runs one seed as it was ordered.
pub fn run_order(seed: u64, order: &Order) -> Result<Report, Box<Violation>> {
    run_trade(seed, order, Rc::new(Toy))
}

/// Runs one seed of this trade, as it was ordered.
pub fn run_trade(
    seed: u64,
    order: &Order,
    business: Rc<dyn Trade>,
) -> Result<Report, Box<Violation>> {
    let (size, faults) = (order.size, order.faults(seed));
    let dice = Dice::new(seed);
    drive::unmount_all();
    keys::forget_all();
    blank::prepare(&business.migrations(), &business.steps());
    disk::seed(dice.split("sqlite"));
    let Chain { devices, mut liar, rows, authority } = chain::build(size, faults, &dice, &business);
    let luck = dice.split("luck");
    let mut stage = Stage {
        seed,
        size,
        faults,
        options: order.options(),
        agenda: Agenda::default(),
        lines: devices.iter().map(|_| Line::default()).collect(),
        calm_until_ms: devices.iter().map(|_| 0).collect(),
        ambushes: devices.iter().map(|_| None).collect(),
        devices,
        business,
        vault: Vault::new(authority, faults.earnest_keys),
        ledger: Ledger::default(),
        trimming: Trimming::default(),
        figures: Figures { runs: 1, ..Figures::default() },
        sold: vec![0; size.stores as usize + 1],
        losses: Losses::default(),
        trace: blake3::Hasher::new(),
        at_ms: 0,
        healed: false,
        storm: 0,
        coverage: Coverage::default(),
        sidelines: Sidelines::new(dice.split("sidelines")),
        waits: Waits::default(),
        trade: dice.split("trade"),
        weather: dice.split("weather"),
        trouble: dice.split("trouble"),
        luck: Mishap::all().map(|mishap| luck.split(mishap.name())).collect(),
    };
    stage.devices[HQ].keeps_copy = faults.has(Mishap::RestoredHq);
    open_for_business(&mut stage, &rows)?;
    let end_ms = i64::from(size.minutes) * 60_000;
    match faults.mode {
        Mode::Safety => {
            go_on_until(&mut stage, &mut liar, end_ms)?;
            show_hands(&mut stage)?;
        }
        Mode::Liveness => {
            go_on_until(&mut stage, &mut liar, end_ms / 2)?;
            agree(&mut stage, &mut liar)?;
            rage_again(&mut stage);
            go_on_until(&mut stage, &mut liar, end_ms + AGREE_MS)?;
            agree(&mut stage, &mut liar)?;
        }
    }
    Ok(report(stage))
}

fn open_for_business(stage: &mut Stage, rows: &[Row]) -> Verdict {
    stage.boot(HQ)?;
    let (now, hq) = (stage.devices[HQ].now(0), stage.devices[HQ].origin());
    for row in rows {
        let Some(running) = &mut stage.devices[HQ].running else { break };
        let done = running.replica.write(now.wall, |tx| allow_list::insert(tx, row));
        let mark = done.map_err(|cause| stage.violation("I1", HQ, cause.to_string()))?.entry;
        let mark =
            mark.ok_or_else(|| stage.violation("I1", HQ, "a row was not captured".to_owned()))?;
        stage.ledger.acknowledge(mark.stream, hq, mark.hash, Effect::default());
    }
    for opening in stage.business.openings(stage.size.stores) {
        stage.write(HQ, opening.as_ref())?;
    }
    for device in 0..stage.devices.len() {
        // One in six comes when the others have traded for a while, and starts empty.
        let longest_ms = match stage.trouble.chance(167) {
            true => i64::from(stage.size.minutes) * 30_000,
            false => 5_000,
        };
        let boot_ms = stage.trouble.between(0, longest_ms);
        stage.plan(boot_ms, Happening::Boot(device));
    }
    stage.plan(LOOK_EVERY_MS, Happening::Look);
    rage_again(stage);
    Ok(())
}

/// Trade and trouble begin, or begin again.
fn rage_again(stage: &mut Stage) {
    stage.healed = false;
    stage.storm += 1;
    for device in 0..stage.devices.len() {
        let trade_ms = stage.trade.between(0, 20_000);
        stage.plan(trade_ms, Happening::Trade { device, storm: stage.storm });
    }
    stage.plan_mishaps();
}

/// All is healed, a virtual minute passes, and everybody agrees.
fn agree(stage: &mut Stage, liar: &mut Liar) -> Verdict {
    heal(stage);
    go_on_until(stage, liar, stage.at_ms + AGREE_MS)?;
    let hq = running(stage, HQ)?;
    for device in 0..stage.devices.len() {
        judge(stage, device)?;
        let replica = running(stage, device)?;
        if device != HQ {
            let found = verdict::check_i11(stage.business.as_ref(), replica, hq);
            stage.judge("I11", device, found)?;
            let store = replica.identity().store;
            if let Err((invariant, what)) =
                stage.business.check_agreed(replica.db(), hq.db(), store)
            {
                return Err(stage.violation(invariant, device, what));
            }
        }
    }
    stage.judge("I11", HQ, verdict::check_i11_at_hq(hq, &stage.ledger))?;
    for device in 0..stage.devices.len() {
        stage.agree_beside(device)?;
    }
    stage.look_at_floors()?;
    stage.figures.agreements += 1;
    Ok(())
}

/// In the middle of all trouble everybody shows what is on the disk. Who is dark gets power for it.
fn show_hands(stage: &mut Stage) -> Verdict {
    stage.healed = true;
    for device in 0..stage.devices.len() {
        spare(stage, device);
        stage.look_for_rot(device);
        stage.boot(device)?;
        // A disk that went dark with its program was cut just now, and is whole at the second start.
        stage.boot(device)?;
        judge(stage, device)?;
    }
    Ok(())
}

fn go_on_until(stage: &mut Stage, liar: &mut Liar, until_ms: i64) -> Verdict {
    while let Some((at_ms, happening)) = stage.agenda.next(until_ms) {
        assert!(at_ms >= stage.at_ms, "virtual time runs forward");
        stage.at_ms = at_ms;
        stage.figures.happenings += 1;
        stage.trace.update(&at_ms.to_be_bytes());
        happen(stage, liar, happening)?;
    }
    stage.at_ms = until_ms;
    Ok(())
}

fn happen(stage: &mut Stage, liar: &mut Liar, happening: Happening) -> Verdict {
    match happening {
        Happening::Trade { device, storm } if rages(stage, storm) => return stage.trade(device),
        Happening::Strike { mishap, device, storm, at_once } if rages(stage, storm) => {
            return stage.come(liar, (mishap, device), at_once);
        }
        Happening::Weary { device, ambush } => return stage.tire(liar, device, ambush),
        Happening::HealLine { child, storm } if rages(stage, storm) => stage.heal_line(child),
        Happening::Trade { .. } | Happening::Strike { .. } | Happening::HealLine { .. } => {}
        Happening::Copied { boot, bytes, marks } => return stage.copied(boot, &bytes, marks),
        Happening::Succeed => return stage.succeed(),
        Happening::Wake { device, boot } => return stage.wake(device, boot),
        Happening::Work { device, boot } => return stage.work(device, boot),
        Happening::Arrive { child, upward, message } => {
            return stage.arrive(child, upward, message);
        }
        Happening::Boot(device) => return stage.boot(device),
        Happening::DiskRoom(device) => stage.make_room(device),
        Happening::Join(child) => return stage.join(child),
        Happening::Leave(child) => return stage.leave(child),
        Happening::Look => return look(stage),
    }
    Ok(())
}

fn rages(stage: &Stage, storm: u32) -> bool {
    !stage.healed && storm == stage.storm
}

/// No vector falls while a device runs, and nobody has acked what it has not.
fn look(stage: &mut Stage) -> Verdict {
    stage.plan(LOOK_EVERY_MS, Happening::Look);
    for device in 0..stage.devices.len() {
        let streams = stage.devices[device].streams(stage.size.stores);
        let Some(running) = &stage.devices[device].running else { continue };
        let heads = |stream: &Stream| {
            let stream = *stream;
            running.replica.heads_of(stream).map(move |(origin, head)| ((stream, origin), head.seq))
        };
        let vector: Vector = streams.iter().flat_map(heads).collect();
        let before = stage.ledger.vectors.insert(device, vector.clone()).unwrap_or_default();
        stage.judge("I12", device, verdict::check_i12(&before, &vector))?;
        stage.look_at_promises(device)?;
        stage.look_at_generations(device)?;
        stage.look_at_parent(device)?;
    }
    stage.look_at_floors()?;
    // What is shown is looked at in turns: that reads whole tables.
    let turn = (stage.at_ms / LOOK_EVERY_MS) as usize % stage.devices.len();
    stage.look_at_reads(turn)
}

/// All faults end, everybody who is dark starts, all lines are whole.
fn heal(stage: &mut Stage) {
    stage.healed = true;
    stage.plan(3_000, Happening::Succeed);
    for device in 0..stage.devices.len() {
        spare(stage, device);
        stage.catch_up(device);
        stage.look_for_rot(device);
        stage.plan(0, Happening::Boot(device));
        stage.heal_line(device);
    }
}

/// Nothing that was planned for a device strikes any more.
fn spare(stage: &mut Stage, device: usize) {
    stage.ambushes[device] = None;
    stage.calm_until_ms[device] = 0;
    stage.devices[device].drive.spare();
    stage.devices[device].drive.plan(None);
    stage.devices[device].drive.limit(None);
    // A disk that went dark while its program ended is still to be cut, at its next start.
    if !stage.devices[device].drive.is_dark() {
        stage.devices[device].cut = None;
    }
}

/// Whatever a device shows is true, whether or not it is all.
fn judge(stage: &Stage, device: usize) -> Verdict {
    let (replica, hq) = (running(stage, device)?, stage.devices[HQ].origin());
    let db = replica.db();
    stage.judge("I2", device, verdict::check_i02(db))?;
    stage.judge("I5", device, verdict::check_i05(db))?;
    stage.judge("I14", device, verdict::check_i14(db))?;
    if let Err((invariant, what)) = stage.business.check(db, hq) {
        return Err(stage.violation(invariant, device, what));
    }
    stage.look_beside(device)?;
    stage.look_at_reads(device)
}

fn running(stage: &Stage, device: usize) -> Result<&Replica, Box<Violation>> {
    match &stage.devices[device].running {
        Some(running) => Ok(&running.replica),
        None => Err(stage.violation("I11", device, "it did not come back".to_owned())),
    }
}

fn report(mut stage: Stage) -> Report {
    let mut digest = stage.trace.clone();
    let origins: Vec<_> = stage.devices.iter().map(|device| device.origin()).collect();
    for (device, own) in stage.devices.iter().zip(origins) {
        let counts = device.drive.counts();
        stage.figures.operations += counts.operations;
        stage.figures.rebuilt += device.rebuilt;
        stage.figures.syncs += counts.syncs;
        let Some(running) = &device.running else { continue };
        let db = running.replica.db();
        for store in 1..=stage.size.stores {
            for sum in stage.business.sums(db, store).unwrap_or_default().into_values() {
                digest.update(&sum.to_be_bytes());
            }
        }
        for ((_, origin), seq) in verdict::vector(db).unwrap_or_default() {
            stage.figures.applied += if origin == own { 0 } else { seq };
        }
        let parked =
            db.query_row("SELECT count(*) FROM sync_parked", [], |row| row.get::<_, i64>(0));
        stage.figures.parked += parked.unwrap_or(0).unsigned_abs();
    }
    stage.figures.acknowledged = stage.ledger.total();
    stage.figures.mishaps = stage.losses.harmed();
    stage.figures.checkouts = stage.sold.iter().sum();
    stage.figures.store_days = stage.sold.iter().map(|sold| sold / STORE_DAY).sum();
    digest.update(stage.figures.to_line().as_bytes());
    digest.update(stage.coverage.to_line().as_bytes());
    let Stage { figures, coverage, .. } = stage;
    Report { digest: *digest.finalize().as_bytes(), figures, coverage }
}
