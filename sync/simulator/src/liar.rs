//! A device with a key of its own that lies
//!
//! It has been admitted as a pos of the first store and knows everything that an insider can know. What it sends is
//! well formed, sealed and chained; only the right to write it is missing. All its rows bear negative amounts.

use crate::blank;
use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::trade::{Trade, Untruth};
use selvedge_sync::changelog;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::seal::{self, SESSION_OF_ENROLLED_KEY};
use selvedge_sync::version::Head;
use std::rc::Rc;
use std::sync::Arc;

/// An origin that HQ has never given.
const STRANGER: u32 = 7_777_777;

/// What it pretends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pretence {
    /// To be HQ, under its own origin: prices.
    Headquarters,
    /// To belong to this store.
    OtherStore(u32),
    /// To be another device, whose head is this.
    Other {
        /// Which device.
        origin: Origin,
        /// In which stream.
        stream: Stream,
        /// Its newest entry.
        seq: u64,
        /// The chain value there.
        chain: [u8; 32],
    },
    /// To be somebody whom HQ has admitted, which is not so.
    Stranger,
}

/// A liar, with a replica of its own that believes it is HQ.
pub struct Liar {
    keys: Arc<dyn DeviceKeys>,
    origin: Origin,
    replica: Replica,
    trade: Rc<dyn Trade>,
}

impl Liar {
    /// A liar under this origin. Nothing ever goes wrong on its own disk.
    pub fn new(
        origin: Origin,
        device: DeviceId,
        keys: Arc<dyn DeviceKeys>,
        trade: Rc<dyn Trade>,
    ) -> Liar {
        let identity =
            Identity { device, origin, role: Role::Hq, store: 0, authority: keys.public() };
        let (drive, migrations) = (Drive::mount("liar"), trade.migrations());
        let schema = &migrations[..trade.steps()[0]];
        blank::lay(&drive, "/liar/replica.db", schema);
        let replica = Replica::open(Settings {
            path: drive.path("replica.db"),
            vfs: Some(disk::VFS.to_owned()),
            identity,
            keys: keys.clone(),
            migrations: schema.to_vec(),
            cache_kib: 64,
        });
        Liar { keys, origin, trade, replica: replica.expect("a new disk takes a new database") }
    }

    /// The bytes of a frame that nobody may believe.
    pub fn lie(&mut self, pretence: Pretence, dice: &mut Dice) -> Vec<u8> {
        let amount = -dice.between(1_001, 1_000_000);
        let (stream, untruth) = match pretence {
            Pretence::Headquarters | Pretence::Stranger => (Stream::CHAIN, Untruth::OfHq),
            Pretence::OtherStore(store) => (store_stream(store), Untruth::OfStore(store)),
            Pretence::Other { stream, .. } => (stream, Untruth::OfStore(stream.number())),
        };
        let sql = self.trade.untruth(untruth, amount);
        let wrote = self.replica.write(Millis(dice.between(0, 1 << 40)), |tx| tx.execute(&sql, []));
        let mark = wrote.expect("its own disk never fails").entry.expect("each lie is a new row");
        assert_eq!(mark.stream, stream, "a lie stands in the stream it was told in");
        match pretence {
            Pretence::Headquarters | Pretence::OtherStore(_) => self.frame(stream, mark.seq),
            Pretence::Other { origin, stream, seq, chain } => {
                self.forge(origin, stream, seq, &chain, &self.entry(stream, mark.seq))
            }
            Pretence::Stranger => {
                let origin = Origin::new(STRANGER).expect("it has 23 bits");
                let start = seal::genesis(origin, stream);
                self.forge(origin, stream, 0, &start, &self.entry(stream, mark.seq))
            }
        }
    }

    /// All that it has said in a stream up to this entry, in one honest frame.
    fn frame(&self, stream: Stream, seq: u64) -> Vec<u8> {
        let frame = self.replica.cut(stream, self.origin, 1);
        let frame = frame.expect("its own disk never fails").expect("it has just written");
        assert_eq!(frame.last(), seq, "a liar does not talk long");
        frame.encode()
    }

    fn entry(&self, stream: Stream, seq: u64) -> Vec<u8> {
        let entries = changelog::read(self.replica.db(), stream, self.origin, seq, 1, u64::MAX);
        entries.expect("its own disk never fails").remove(0)
    }

    /// A frame in another's name that follows this head, under the liar's own seal.
    fn forge(
        &self,
        origin: Origin,
        stream: Stream,
        seq: u64,
        chain: &[u8; 32],
        entry: &[u8],
    ) -> Vec<u8> {
        let head = Head { seq: seq + 1, chain: seal::next(chain, origin, stream, seq + 1, entry) };
        let seal =
            seal::make(self.keys.as_ref(), origin, stream, &head, SESSION_OF_ENROLLED_KEY, 0);
        Frame::new(origin, stream, seq + 1, chain, seal, [entry])
            .expect("one entry fits a frame")
            .encode()
    }
}

/// Changes one byte of one entry and keeps everything else, as a relay could that means harm.
pub fn tamper(frame: &Frame, chain: &[u8; 32], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = frame.entries().map(<[u8]>::to_vec).collect();
    let victim = dice.below(entries.len() as u64) as usize;
    // The last bytes of an entry are values of its last row: what changes still reads well.
    let byte = entries[victim].last_mut()?;
    *byte ^= 1;
    let changed =
        Frame::new(frame.origin(), frame.stream(), frame.first(), chain, *frame.seal(), entries);
    changed.ok().map(|frame| frame.encode())
}

fn store_stream(store: u32) -> Stream {
    Stream::store(store).expect("a store has a stream")
}
