//! HQ goes on as its next generation after its disk was lost

use std::collections::{BTreeSet, VecDeque};

use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::Role;
use selvedge_sync::replica::Replica;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::succession::{generation_of, writer_of};

use crate::authority::{self, Keys};
use crate::config::Config;
use crate::database::{self, DatabaseError, now};
use crate::second_copy;

/// Rows that one transaction takes from the second copy.
const SLICE_ROWS: usize = 10_000;

/// Hands the restored database over to the next generation, and takes in what the second copy has. HQ must not run.
pub fn begin(config: &Config, generation: Option<u32>) -> Result<String, DatabaseError> {
    let keys = authority::read(&config.data).map_err(DatabaseError::of)?;
    let replica = database::replica(config, &keys)?;
    if replica.recalls().is_some() {
        return Err(DatabaseError::Refused(
            "HQ takes its entries back already: start it with `hq-bridge run`, or end that with `hq-bridge succeed --now`"
                .to_owned(),
        ));
    }
    let newest = replica.all_known().filter(|row| row.role == Role::Hq).map(|row| row.origin).max();
    let newest = newest.map_or(0, generation_of);
    let generation = generation.unwrap_or(newest + 1);
    let origin = writer_of(generation).filter(|_| generation > newest).ok_or_else(|| {
        DatabaseError::Refused(format!(
            "HQ is in generation {newest}: name a later one, up to 127, with --generation"
        ))
    })?;
    let row = Row::sign(
        origin,
        &config.name,
        0,
        Role::Hq,
        database::HQ_LABEL,
        keys.writer.public(),
        keys.authority.as_ref(),
    );
    replica.hand_over(&row).map_err(DatabaseError::of)?;
    let found = take_second_copy(config, &keys)?;
    Ok(format!(
        "HQ is generation {generation} now and writes as origin {origin}. {found}\nStart it with `hq-bridge run`: it takes its own entries back from the stores, and writes once every store was heard.\nTo write before that: end it, `hq-bridge succeed --now`, and start it again.\nNever start the lost machine again; if somebody does, nothing that it writes counts."
    ))
}

/// What the second copy has beyond the restored database.
fn take_second_copy(config: &Config, keys: &Keys) -> Result<String, DatabaseError> {
    let Some(folder) = &config.second_copy else {
        return Ok("There is no second copy to read.".to_owned());
    };
    let mut replica = database::replica(config, keys)?;
    let mut failed = None;
    let mut entries = 0;
    second_copy::read(folder, |frames| {
        let waiting = frames.into_iter().map(|frame| Incoming::new((), frame));
        let mut queue: VecDeque<Incoming<()>> = waiting.collect();
        let before = total(&replica);
        while !queue.is_empty() && failed.is_none() {
            let slice = Slice { rows: SLICE_ROWS };
            failed = replica.receive(now(), &mut queue, slice).err();
        }
        entries += total(&replica) - before;
    })
    .map_err(DatabaseError::of)?;
    match failed {
        Some(why) => Err(DatabaseError::of(why)),
        None => Ok(format!("The second copy had {entries} entries more than the backup.")),
    }
}

fn total(replica: &Replica) -> u64 {
    let streams: BTreeSet<u32> = replica.all_known().map(|row| row.store).chain([0]).collect();
    let streams = streams.into_iter().filter_map(selvedge_sync::origin::Stream::from_number);
    streams
        .flat_map(|stream| replica.heads_of(stream).map(|(_, head)| head.seq).collect::<Vec<_>>())
        .sum()
}

/// Ends the taking back, whoever was heard. HQ must not run.
pub fn end(config: &Config) -> Result<String, DatabaseError> {
    let keys = authority::read(&config.data).map_err(DatabaseError::of)?;
    let mut replica = database::replica(config, &keys)?;
    if replica.recalls().is_none() {
        return Ok("HQ takes nothing back: it may write.".to_owned());
    }
    replica.succeed(now(), keys.authority.as_ref()).map_err(DatabaseError::of)?;
    Ok("HQ writes again. What a store heard of it and shows later is taken over then.".to_owned())
}

/// The stores that a restored HQ still waits for: none of their devices was heard while HQ had all that it has.
pub fn waits_for(rows: &[Row], status: &HubStatus) -> BTreeSet<u32> {
    let heard = |row: &Row| status.complete.iter().any(|(device, _)| *device == row.device);
    let stores = rows.iter().filter(|row| row.role != Role::Hq && !row.state.is_over());
    let heard: BTreeSet<u32> =
        stores.clone().filter(|row| heard(row)).map(|row| row.store).collect();
    stores.map(|row| row.store).filter(|store| !heard.contains(store)).collect()
}
