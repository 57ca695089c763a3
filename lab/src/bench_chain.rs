//! A chain of one store at work, as benches need it

use crate::bench_desk::Fault;
use crate::chain::{Chain, Wanted};
use crate::demo::{self, Desk};
use crate::hands::Hands;
use crate::layout::Seat;
use crate::process::wait_for;
use crate::world::World;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Seconds between two beats, as shipped.
const BEAT_S: u32 = 10;
/// How long a pos may take until it knows its cashiers.
const KNOWN_S: u64 = 60;

/// Head office, a back office and some pos as real processes. Dropping it ends them all.
pub struct OneStore {
    /// Its processes and lines.
    pub chain: Chain,
    /// What it sells, and who works there.
    pub world: World,
    /// Where its files are.
    pub desk: Desk,
    _runtime: Runtime,
}

impl OneStore {
    /// Makes the chain and starts everybody. Master data may still be on its way to the pos.
    pub fn at_work(pos: u32) -> Result<OneStore, Fault> {
        let runtime = Runtime::new()?;
        let desk = Desk::at(None)?;
        let world = World::from_seed(1, 1);
        let wanted = Wanted {
            desk: desk.path.clone(),
            stores: 1,
            pos,
            beat_s: BEAT_S,
            card_terminal: false,
        };
        let (mut chain, files) = demo::lay_out(&world, wanted, &runtime)?;
        chain.make(&files, &|_| {})?;
        chain.start_all(&|_| {})?;
        Ok(OneStore { chain, world, desk, _runtime: runtime })
    }

    /// The hands of the store's first person, signed on at a pos as soon as it knows them.
    pub fn hands(&self, pos: Seat) -> Result<Hands, Fault> {
        let person = self.world.staff_of(pos.store()).next().ok_or("a store has people")?;
        let hands = Hands::at(self.chain.page(pos), &person.badge, &person.pin);
        if !wait_for(Duration::from_secs(KNOWN_S), || hands.sign_on().is_ok()) {
            return Err(format!("{} does not sell", pos.title()).into());
        }
        Ok(hands)
    }
}

impl Drop for OneStore {
    fn drop(&mut self) {
        self.chain.stop_all();
    }
}
