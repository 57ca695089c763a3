//! What replicas tell each other beside the entries
//!
//! Two messages are enough. A `need` opens a conversation: all that I have, and what I want. An `ack` goes on with it:
//! what I have made durable since, and how much more I can take. An ack that carries nothing new is the beat.
//!
//! Both are signed, for a forged ack would have a sender forget entries that nobody has. A field is only ever added
//! before the signature, so that a reader passes over what it does not know and the signature covers it all the same.

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::DeviceKeys;
use crate::hlc::Stamp;
use crate::origin::{Origin, Stream};
use crate::signed::{Mark, Unproven, WireError, open, read_list, read_marks, signed, write_marks};
use crate::version::SEQ_MAX;

/// A row of the allow-list, as it travels alone.
pub const PAPER_ROW: u32 = 1;
/// A statement of HQ's succession.
pub const PAPER_SUCCESSION: u32 = 2;
/// A spare origin that was handed out: a list of the origin that asks, its ticket, and the row that HQ has signed. It
/// counts from the parent only.
pub const PAPER_CLAIM: u32 = 3;

/// Something that HQ's authority has signed: what it is, and its bytes.
pub type Paper = (u32, Vec<u8>);

/// The longest name of a build, in bytes.
pub const BUILD_BYTES_MAX: usize = 64;

/// What a replica has made durable since its last ack, and how much more it can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The number of this conversation, drawn by its shell.
    pub nonce: u64,
    /// When it was made, for people.
    pub stamp: Stamp,
    /// Heads that moved since the last ack, durable here.
    pub heads: Vec<Mark>,
    /// How many more bytes of live frames may be sent.
    pub credit_live: u32,
    /// How many more bytes of bulk frames may be sent.
    pub credit_bulk: u32,
    /// How many entries are parked here.
    pub parked: u32,
    /// Downwards: what HQ has in its database, where that moved.
    pub committed: Vec<Mark>,
    /// Downwards: what HQ has in its second copy too, where that moved.
    pub kept_twice: Vec<Mark>,
    /// Downwards: the generation of HQ whose word these two are. None with none.
    pub generation: Option<Origin>,
    /// Seconds since the last beat of each device beyond the sender.
    pub ages: Vec<(Origin, u32)>,
    /// The digest of each stream's heads. Only when idle.
    pub digests: Vec<(Stream, [u8; 8])>,
    /// What is said of sealed blobs.
    pub blobs: AboutBlobs,
    /// Whose key signs this message.
    pub signer: Origin,
}

/// The hash of a sealed blob.
pub type Hash = [u8; 32];

/// What is said of sealed blobs that did not come with their entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AboutBlobs {
    /// Hashes of those that are missing here, ascending.
    pub lacks: Vec<Hash>,
    /// Which are here of those that the other side has asked for.
    pub given: Option<Given>,
}

/// An answer to those who lack sealed blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Up to which of the hashes that were asked for it was looked.
    pub through: Hash,
    /// Which of these blobs are here.
    pub blobs: Vec<Vec<u8>>,
}

/// All the heads that a replica has of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeads {
    /// Which stream.
    pub stream: Stream,
    /// Of each origin its newest number, and the first bytes of the chain value there.
    pub heads: Vec<(Origin, u64, [u8; 8])>,
}

/// All that a replica has, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The number of this conversation, drawn by its shell.
    pub nonce: u64,
    /// Who sends this, and whose key signs it.
    pub origin: Origin,
    /// The build of the sender, for people.
    pub build: String,
    /// The oldest schema epoch that the sender reads.
    pub epoch_lowest: u16,
    /// The newest schema epoch that the sender reads.
    pub epoch_highest: u16,
    /// What the sender has, stream by stream. A stream that it does not take is not in the list.
    pub vectors: Vec<StreamHeads>,
    /// Whether it would rather begin with a snapshot than with the first entry.
    pub want_snapshot: bool,
    /// Whether this answers the other's need, and so wants no answer.
    pub reply: bool,
    /// How many bytes of live frames may be sent.
    pub credit_live: u32,
    /// How many bytes of bulk frames may be sent.
    pub credit_bulk: u32,
    /// What it asks with for another origin: it may not write under the one that it has. 0 when it does not ask.
    pub ticket: u64,
    /// What proves who speaks for HQ. Counts by itself, whoever sends it.
    pub papers: Vec<Paper>,
}

impl Ack {
    const TAG: &[u8] = b"selvedge/ack/1";
    const FIELDS: usize = 14;

    /// The bytes for the line, signed.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let mut message = Writer::after(Vec::with_capacity(160));
        message.list(Ack::FIELDS).uint(self.nonce).uint(self.stamp.0);
        write_marks(&mut message, &self.heads);
        message.uint(self.credit_live).uint(self.credit_bulk).uint(self.parked);
        write_marks(&mut message, &self.committed);
        write_marks(&mut message, &self.kept_twice);
        message.uint(self.generation.map_or(0, Origin::get));
        message.list(self.ages.len() * 2);
        for (origin, seconds) in &self.ages {
            message.uint(origin.get()).uint(*seconds);
        }
        message.list(self.digests.len() * 2);
        for (stream, digest) in &self.digests {
            message.uint(stream.number()).bytes(digest);
        }
        write_about_blobs(&mut message, &self.blobs);
        message.uint(self.signer.get());
        signed(message, Ack::TAG, keys)
    }

    /// Reads an ack, which counts only when it is proven.
    pub fn decode(bytes: &[u8]) -> Result<Unproven<'_, Ack>, WireError> {
        let (mut reader, unknown) = open(bytes, Ack::FIELDS)?;
        let ack = Ack {
            nonce: reader.uint()?,
            stamp: Stamp(reader.uint()?),
            heads: read_marks(&mut reader)?,
            credit_live: reader.uint32()?,
            credit_bulk: reader.uint32()?,
            parked: reader.uint32()?,
            committed: read_marks(&mut reader)?,
            kept_twice: read_marks(&mut reader)?,
            generation: read_generation(&mut reader)?,
            ages: read_list(&mut reader, 2, |r| Ok((r.origin()?, r.uint32()?)))?,
            digests: read_list(&mut reader, 2, |r| Ok((r.stream()?, r.bytes_of()?)))?,
            blobs: read_about_blobs(&mut reader)?,
            signer: reader.origin()?,
        };
        Unproven::close(bytes, reader, unknown, Ack::TAG, ack.signer, ack)
    }
}

impl Need {
    const TAG: &[u8] = b"selvedge/need/1";
    const FIELDS: usize = 13;

    /// The bytes for the line, signed. The name of the build is cut where it is too long.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let mut message = Writer::after(Vec::new());
        message.list(Need::FIELDS).uint(self.nonce).uint(self.origin.get());
        message.text(&self.build[..self.build.floor_char_boundary(BUILD_BYTES_MAX)]);
        message.uint(self.epoch_lowest).uint(self.epoch_highest);
        message.list(self.vectors.len() * 2);
        for of_stream in &self.vectors {
            message.uint(of_stream.stream.number()).list(of_stream.heads.len() * 3);
            for (origin, seq, chain8) in &of_stream.heads {
                message.uint(origin.get()).uint(*seq).bytes(chain8);
            }
        }
        message.truth(self.want_snapshot).truth(self.reply);
        message.uint(self.credit_live).uint(self.credit_bulk).uint(self.ticket);
        message.list(self.papers.len() * 2);
        for (kind, bytes) in &self.papers {
            message.uint(*kind).bytes(bytes);
        }
        signed(message, Need::TAG, keys)
    }

    /// Reads a need, which counts only when it is proven.
    pub fn decode(bytes: &[u8]) -> Result<Unproven<'_, Need>, WireError> {
        let (mut reader, unknown) = open(bytes, Need::FIELDS)?;
        let need = Need {
            nonce: reader.uint()?,
            origin: reader.origin()?,
            build: reader.text_up_to(BUILD_BYTES_MAX)?.to_owned(),
            epoch_lowest: reader.uint_up_to(u64::from(u16::MAX))? as u16,
            epoch_highest: reader.uint_up_to(u64::from(u16::MAX))? as u16,
            vectors: read_list(&mut reader, 2, read_stream_heads)?,
            want_snapshot: reader.truth()?,
            reply: reader.truth()?,
            credit_live: reader.uint32()?,
            credit_bulk: reader.uint32()?,
            ticket: reader.uint()?,
            papers: read_list(&mut reader, 2, |r| Ok((r.uint32()?, r.bytes()?.to_vec())))?,
        };
        Unproven::close(bytes, reader, unknown, Need::TAG, need.origin, need)
    }
}

/// An empty list where there is nothing to say of blobs.
fn write_about_blobs(message: &mut Writer, AboutBlobs { lacks, given }: &AboutBlobs) {
    if lacks.is_empty() && given.is_none() {
        message.list(0);
        return;
    }
    message.list(2).list(lacks.len());
    for hash in lacks {
        message.bytes(hash);
    }
    message.list(given.as_ref().map_or(0, |given| 1 + given.blobs.len()));
    if let Some(Given { through, blobs }) = given {
        message.bytes(through);
        for blob in blobs {
            message.bytes(blob);
        }
    }
}

fn read_about_blobs(reader: &mut Reader) -> Result<AboutBlobs, Malformed> {
    let at = reader.position();
    match reader.list()? {
        0 => return Ok(AboutBlobs::default()),
        2 => {}
        _ => return Err(Malformed { at, why: "no two lists about blobs" }),
    }
    let lacks = read_list(reader, 1, |r| r.bytes_of())?;
    let given = match reader.list()? {
        0 => None,
        parts => {
            let through = reader.bytes_of()?;
            let blobs = (1..parts).map(|_| reader.bytes().map(<[u8]>::to_vec));
            Some(Given { through, blobs: blobs.collect::<Result<_, _>>()? })
        }
    };
    if lacks.is_empty() && given.is_none() {
        return Err(Malformed { at, why: "two empty lists about blobs" });
    }
    Ok(AboutBlobs { lacks, given })
}

/// 0 stands for none.
fn read_generation(reader: &mut Reader) -> Result<Option<Origin>, Malformed> {
    let at = reader.position();
    match reader.uint32()? {
        0 => Ok(None),
        number => Origin::new(number).map(Some).ok_or(Malformed { at, why: "no origin" }),
    }
}

fn read_stream_heads(reader: &mut Reader) -> Result<StreamHeads, Malformed> {
    let stream = reader.stream()?;
    let heads = read_list(reader, 3, |r| Ok((r.origin()?, r.uint_up_to(SEQ_MAX)?, r.bytes_of()?)))?;
    Ok(StreamHeads { stream, heads })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use crate::canonical::Writer;
    use crate::device_keys::{DeviceKeys, SoftwareKeys};
    use crate::hlc::Stamp;
    use crate::origin::{ORIGIN_MAX, Origin, STREAM_MAX, Stream};
    use crate::signed::{MESSAGE_BYTES_MAX, Mark, signed};
    use crate::version::SEQ_MAX;
    use crate::wire::{AboutBlobs, Ack, Given, Need, PAPER_ROW, StreamHeads};

    fn keys() -> SoftwareKeys {
        SoftwareKeys::from_seed([3; 32])
    }

    fn origin(number: u32) -> Origin {
        Origin::new(number).unwrap()
    }

    fn idle(signer: u32, ages: Vec<(Origin, u32)>) -> Ack {
        Ack {
            nonce: u64::MAX,
            stamp: Stamp(1_795_000_000_000 << 16),
            heads: vec![],
            credit_live: 1 << 20,
            credit_bulk: 1 << 20,
            parked: 0,
            committed: vec![],
            kept_twice: vec![],
            generation: None,
            ages,
            digests: vec![(Stream::CHAIN, [1; 8]), (Stream::store(5_000).unwrap(), [2; 8])],
            blobs: AboutBlobs::default(),
            signer: origin(signer),
        }
    }

    #[test]
    fn a_beat_costs_at_most_130_bytes() {
        assert_eq!(idle(ORIGIN_MAX, vec![]).encode(&keys()).len(), 130);
        assert_eq!(idle(20_000, vec![(origin(1), 10)]).encode(&keys()).len(), 130);
    }

    #[test]
    fn a_message_signed_by_another_key_does_not_count() {
        let bytes = idle(9, vec![]).encode(&SoftwareKeys::from_seed([4; 32]));
        let unproven = Ack::decode(&bytes).unwrap();
        assert_eq!(unproven.signer(), origin(9));
        expect!["the message is not signed by origin 9: it was changed, or another key made it"]
            .assert_eq(&unproven.proven_by(&keys().public()).unwrap_err().to_string());
    }

    #[test]
    fn the_signature_of_one_kind_of_message_does_not_hold_for_another() {
        let bytes = idle(9, vec![]).encode(&keys());
        let body = &bytes[..bytes.len() - 66];
        let forged = signed(Writer::after(body.to_vec()), Need::TAG, &keys());
        assert!(Ack::decode(&forged).unwrap().proven_by(&keys().public()).is_err());
    }

    #[test]
    fn what_a_newer_build_adds_is_passed_over_and_still_signed() {
        let known = idle(9, vec![]);
        let bytes = known.encode(&keys());
        let mut newer = Writer::after(bytes[..bytes.len() - 66].to_vec());
        newer.list(2).uint(7u32).text("new");
        let mut body = newer.finish();
        body[0] += 1;
        let mut sent = signed(Writer::after(body), Ack::TAG, &keys());
        let heard = Ack::decode(&sent).unwrap().proven_by(&keys().public());
        assert_eq!(heard, Ok(known));
        let in_the_new_part = sent.len() - 67;
        sent[in_the_new_part] ^= 1;
        assert!(Ack::decode(&sent).unwrap().proven_by(&keys().public()).is_err());
    }

    #[test]
    fn a_message_that_promises_too_much_is_refused() {
        check(&[], expect!["the message cannot be read: no list at byte 0"]);
        check(
            &[0x81, 0],
            expect!["the message cannot be read: another number of fields at byte 0"],
        );
        check(
            &[0; MESSAGE_BYTES_MAX + 1],
            expect!["a message of 98305 bytes is refused: at most 98304 are allowed"],
        );
        let mut cut = Writer::after(Vec::new());
        cut.list(13).uint(1u32).uint(1u32).list(2).uint(0u32).uint(1u32).bytes(&[0; 64]);
        check(
            &cut.finish(),
            expect!["the message cannot be read: another number of fields at byte 0"],
        );
    }

    fn check(bytes: &[u8], says: Expect) {
        says.assert_eq(&Ack::decode(bytes).unwrap_err().to_string());
    }

    #[test]
    fn a_build_with_a_long_name_is_still_heard() {
        let mut need = need_of(vec![], 0, true);
        need.build = "ä".repeat(40) + "b";
        let bytes = need.encode(&keys());
        let heard = Need::decode(&bytes).unwrap().proven_by(&keys().public()).unwrap();
        assert_eq!(heard.build, "ä".repeat(32));
    }

    fn need_of(vectors: Vec<StreamHeads>, ticket: u64, reply: bool) -> Need {
        Need {
            nonce: 1,
            origin: origin(9),
            build: "0.1.0".into(),
            epoch_lowest: 1,
            epoch_highest: u16::MAX,
            vectors,
            want_snapshot: ticket % 2 == 1,
            reply,
            credit_live: 0,
            credit_bulk: u32::MAX,
            ticket,
            papers: vec![(PAPER_ROW, vec![7; 40])],
        }
    }

    fn origins() -> impl Strategy<Value = Origin> {
        (1..=ORIGIN_MAX).prop_map(origin)
    }

    fn streams() -> impl Strategy<Value = Stream> {
        (0..=STREAM_MAX).prop_map(|number| Stream::from_number(number).unwrap())
    }

    fn marks() -> impl Strategy<Value = Vec<Mark>> {
        proptest::collection::vec((streams(), origins(), 0..=SEQ_MAX), 0..9)
    }

    prop_compose! {
        fn stream_heads()(
            stream in streams(),
            heads in proptest::collection::vec((origins(), 0..=SEQ_MAX, any::<[u8; 8]>()), 0..9),
        ) -> StreamHeads {
            StreamHeads { stream, heads }
        }
    }

    proptest! {
        #[test]
        fn every_ack_reads_back(
            (nonce, stamp, heads) in (any::<u64>(), any::<u64>(), marks()),
            (credit_live, credit_bulk, parked) in any::<(u32, u32, u32)>(),
            (committed, kept_twice) in (marks(), marks()),
            generation in proptest::option::of(origins()),
            ages in proptest::collection::vec((origins(), any::<u32>()), 0..9),
            digests in proptest::collection::vec((streams(), any::<[u8; 8]>()), 0..9),
            lacks in proptest::collection::vec(any::<[u8; 32]>(), 0..3),
            given in proptest::option::of((any::<[u8; 32]>(), any::<[Vec<u8>; 2]>())),
            signer in origins(),
        ) {
            let given = given.map(|(through, blobs)| Given { through, blobs: blobs.to_vec() });
            let blobs = AboutBlobs { lacks, given };
            let stamp = Stamp(stamp);
            let ack = Ack {
                nonce, stamp, heads, credit_live, credit_bulk, parked, committed, kept_twice,
                generation, ages, digests, blobs, signer,
            };
            let bytes = ack.encode(&keys());
            prop_assert_eq!(Ack::decode(&bytes).unwrap().proven_by(&keys().public()), Ok(ack));
        }

        #[test]
        fn every_need_reads_back(
            vectors in proptest::collection::vec(stream_heads(), 0..5),
            ticket: u64,
            reply: bool,
        ) {
            let need = need_of(vectors, ticket, reply);
            let bytes = need.encode(&keys());
            prop_assert_eq!(Need::decode(&bytes).unwrap().proven_by(&keys().public()), Ok(need));
        }

        #[test]
        fn no_bytes_make_a_message_panic(bytes: Vec<u8>) {
            let _ = Ack::decode(&bytes);
            let _ = Need::decode(&bytes);
        }
    }
}
