//! What pages and log frames must add up to
//!
//! SQLite alone notices about one flipped bit in seven. Each page of a database file therefore ends in eight bytes that
//! SQLite leaves alone: the CRC-32 of the rest, then the page's number, so that a page in a wrong place is noticed too.
//! The write-ahead log has sums of its own, frame after frame, but SQLite looks at them only after a crash. Here they
//! are checked at every read: a bit that flips in the log would otherwise be copied under a good sum.

/// Bytes of a page. One size for all files: a file that says otherwise has rotted or is none of ours.
pub const PAGE_BYTES: usize = 4_096;

/// Bytes at the end of each page that SQLite leaves to us.
pub const RESERVED_BYTES: usize = 8;

/// Where the first page says how many bytes are reserved.
const RESERVED_AT: usize = 20;

/// The page on which SQLite locks; it is never written and never read.
const LOCK_PAGE: u64 = 0x4000_0000 / PAGE_BYTES as u64 + 1;

/// Bytes before the first frame of a log.
const LOG_HEAD_BYTES: u64 = 32;

/// Bytes before the page of a frame.
const FRAME_HEAD_BYTES: u64 = 24;

/// Bytes of a frame.
const FRAME_BYTES: u64 = FRAME_HEAD_BYTES + PAGE_BYTES as u64;

/// What the first four bytes of a log are, but for the last bit.
const LOG_MAGIC: u32 = 0x377f_0682;

/// The number of the page at this place, counted from 1; None where no whole page is meant.
pub fn page_at(at: u64, length: usize) -> Option<u32> {
    let whole = length == PAGE_BYTES && at.is_multiple_of(PAGE_BYTES as u64);
    if whole { u32::try_from(at / PAGE_BYTES as u64 + 1).ok() } else { None }
}

/// Whether no file keeps anything on this page.
pub fn is_unused(number: u64) -> bool {
    number == LOCK_PAGE
}

/// Whether a first page promises the eight bytes.
pub fn reserves(first_page: &[u8]) -> bool {
    usize::from(first_page[RESERVED_AT]) == RESERVED_BYTES
}

/// Whether a first page is that of a file whose pages never had sums: a flipped bit there looks almost the same.
pub fn is_older(first_page: &[u8]) -> bool {
    let mut promising = first_page.to_vec();
    promising[RESERVED_AT] = RESERVED_BYTES as u8;
    first_page.starts_with(b"SQLite format 3\0")
        && first_page[RESERVED_AT] == 0
        && !holds(&promising, 1)
}

/// Writes the eight bytes.
pub fn seal(page: &mut [u8], number: u32) {
    let (rest, seal) = page.split_at_mut(PAGE_BYTES - RESERVED_BYTES);
    seal.copy_from_slice(&ending(rest, number));
}

/// Whether a page is what was written, and written here.
pub fn holds(page: &[u8], number: u32) -> bool {
    let (rest, seal) = page.split_at(PAGE_BYTES - RESERVED_BYTES);
    seal == ending(rest, number)
}

fn ending(rest: &[u8], number: u32) -> [u8; RESERVED_BYTES] {
    let mut seal = [0; RESERVED_BYTES];
    seal[..4].copy_from_slice(&crc32fast::hash(rest).to_be_bytes());
    seal[4..].copy_from_slice(&number.to_be_bytes());
    seal
}

/// Reads bytes of a log at a place; false where they are not all there.
pub type ReadLog<'a> = dyn Fn(u64, &mut [u8]) -> bool + 'a;

/// What one connection knows about its log.
///
/// SQLite writes a page of an unfinished transaction over the same page of that transaction, and makes the sums of the
/// frames from there on true again before it commits. Until then these frames prove nothing; no other connection reads
/// them.
#[derive(Debug, Default)]
pub struct LogWatch {
    headed: Option<u64>,
    unsure_from: Option<u64>,
    lenient: bool,
}

/// SQLite's running sum over a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn read(bytes: &[u8]) -> Sum {
        Sum(number(&bytes[..4]), number(&bytes[4..8]))
    }

    /// The sum after more bytes. The log says itself in which order of bytes it was added up.
    fn over(self, bytes: &[u8], big_endian: bool) -> Sum {
        let word = |four: &[u8]| {
            let four = [four[0], four[1], four[2], four[3]];
            if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
        };
        let (mut one, mut two) = (self.0, self.1);
        for eight in bytes.chunks_exact(8) {
            one = one.wrapping_add(word(&eight[..4])).wrapping_add(two);
            two = two.wrapping_add(word(&eight[4..])).wrapping_add(one);
        }
        Sum(one, two)
    }

    /// The sum after a frame, given whole.
    fn over_frame(self, frame: &[u8], big_endian: bool) -> Sum {
        self.over(&frame[..8], big_endian).over(&frame[FRAME_HEAD_BYTES as usize..], big_endian)
    }
}

fn number(four: &[u8]) -> u32 {
    u32::from_be_bytes([four[0], four[1], four[2], four[3]])
}

/// Where a frame begins; frames are counted from 1.
fn frame_at(frame: u64) -> u64 {
    LOG_HEAD_BYTES + (frame - 1) * FRAME_BYTES
}

/// The frame that begins at this place.
fn frame_beginning(at: u64) -> Option<u64> {
    let behind = at.checked_sub(LOG_HEAD_BYTES)?;
    behind.is_multiple_of(FRAME_BYTES).then_some(behind / FRAME_BYTES + 1)
}

impl LogWatch {
    /// Bytes were written to the log.
    pub fn wrote(&mut self, at: u64, length: usize) {
        let length = length as u64;
        if at == 0 && length == LOG_HEAD_BYTES {
            (self.headed, self.unsure_from) = (None, None);
        } else if let Some(frame) = frame_beginning(at).filter(|_| length == FRAME_HEAD_BYTES) {
            self.headed = Some(frame);
            if self.unsure_from == Some(frame) {
                self.unsure_from = Some(frame + 1);
            }
        } else if let Some(frame) = page_of_frame(at, length)
            && self.headed.take() != Some(frame)
        {
            self.unsure_from = Some(self.unsure_from.map_or(frame, |from| from.min(frame)));
        }
    }

    /// Lets a log end where it is broken: for reading what is left of it.
    pub fn be_lenient(&mut self) {
        self.lenient = true;
    }

    fn is_sure(&self, frame: u64) -> bool {
        self.unsure_from.is_none_or(|from| frame < from)
    }

    /// Whether what was read from the log is what was written. `read` reads more of it.
    pub fn holds(&self, at: u64, bytes: &[u8], read: &ReadLog<'_>) -> bool {
        let length = bytes.len() as u64;
        if at == 0 && length == LOG_HEAD_BYTES {
            return self.lenient || head_holds(bytes) || !read(LOG_HEAD_BYTES, &mut [0]);
        }
        if let Some(frame) = page_of_frame(at, length).filter(|frame| self.is_sure(*frame)) {
            let mut whole = [0; FRAME_BYTES as usize];
            let (head, page) = whole.split_at_mut(FRAME_HEAD_BYTES as usize);
            page.copy_from_slice(bytes);
            return read(frame_at(frame), head)
                && Log::open(read).is_some_and(|log| log.proves(frame, &whole));
        }
        match frame_beginning(at).filter(|frame| length == FRAME_BYTES && self.is_sure(*frame)) {
            Some(frame) => Log::open(read).is_none_or(|log| {
                self.lenient || log.proves(frame, bytes) || !log.goes_on_after(frame, bytes)
            }),
            None => true,
        }
    }
}

fn page_of_frame(at: u64, length: u64) -> Option<u64> {
    at.checked_sub(FRAME_HEAD_BYTES)
        .filter(|_| length == PAGE_BYTES as u64)
        .and_then(frame_beginning)
}

fn head_holds(head: &[u8]) -> bool {
    let magic = number(&head[..4]);
    let big_endian = magic & 1 == 1;
    magic & !1 == LOG_MAGIC && Sum(0, 0).over(&head[..24], big_endian) == Sum::read(&head[24..])
}

/// A log whose head is whole.
struct Log<'a> {
    read: &'a ReadLog<'a>,
    head: [u8; LOG_HEAD_BYTES as usize],
    big_endian: bool,
}

impl<'a> Log<'a> {
    fn open(read: &'a ReadLog<'a>) -> Option<Log<'a>> {
        let mut head = [0; LOG_HEAD_BYTES as usize];
        let there = read(0, &mut head) && head_holds(&head);
        there.then(|| Log { read, big_endian: number(&head[..4]) & 1 == 1, head })
    }

    /// The sum up to the frame before this one, as it is kept.
    fn sum_before(&self, frame: u64) -> Option<Sum> {
        if frame == 1 {
            return Some(Sum::read(&self.head[24..]));
        }
        let mut kept = [0; 8];
        (self.read)(frame_at(frame - 1) + 16, &mut kept).then(|| Sum::read(&kept))
    }

    fn proves(&self, number: u64, frame: &[u8]) -> bool {
        self.is_of_this_log(frame)
            && self.sum_before(number).is_some_and(|before| {
                before.over_frame(frame, self.big_endian) == Sum::read(&frame[16..24])
            })
    }

    /// A log that starts anew writes over its old frames, under a new salt.
    fn is_of_this_log(&self, frame: &[u8]) -> bool {
        frame[8..16] == self.head[16..24]
    }

    /// Whether a frame that proves nothing was once durable: a later transaction has gone on from its own.
    ///
    /// After a power cut the last transaction may be torn, and SQLite rightly ends the log there. But a transaction
    /// begins only when the one before it is synced. So where a frame follows a commit, and goes on with its sum, that
    /// commit was durable, and whatever is broken in it has rotted since: to end the log there would be to lose what
    /// was promised.
    fn goes_on_after(&self, broken: u64, frame: &[u8]) -> bool {
        let mut frame = frame.to_vec();
        let mut next = vec![0; FRAME_BYTES as usize];
        let mut at = broken;
        while (self.read)(frame_at(at + 1), &mut next) {
            let is_commit =
                number(&frame[4..8]) != 0 && (at == broken || self.is_of_this_log(&frame));
            if is_commit && self.is_of_this_log(&next) && self.follows(at, &frame, &next) {
                return true;
            }
            std::mem::swap(&mut frame, &mut next);
            at += 1;
        }
        false
    }

    /// Whether the next frame goes on from this one's sum, or from what its sum must have been.
    fn follows(&self, at: u64, frame: &[u8], next: &[u8]) -> bool {
        let sum = Sum::read(&next[16..24]);
        let reckoned = self.sum_before(at).map(|before| before.over_frame(frame, self.big_endian));
        [Some(Sum::read(&frame[16..24])), reckoned]
            .into_iter()
            .flatten()
            .any(|from| from.over_frame(next, self.big_endian) == sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut page: Vec<u8> = (0..PAGE_BYTES).map(|at| (at % 251) as u8).collect();
        seal(&mut page, 7);
        page
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_noticed() {
        let mut page = page();
        assert!(holds(&page, 7));
        for bit in 0..PAGE_BYTES * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&page, 7), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_page_in_another_place_and_a_page_of_zeros_are_noticed() {
        assert!(!holds(&page(), 8));
        assert!((1..1_000).all(|number| !holds(&[0; PAGE_BYTES], number)));
    }

    #[test]
    fn only_whole_pages_in_their_places_are_pages() {
        assert_eq!(page_at(0, PAGE_BYTES), Some(1));
        assert_eq!(page_at(8_192, PAGE_BYTES), Some(3));
        assert_eq!((page_at(100, PAGE_BYTES), page_at(0, 100)), (None, None));
        assert!(is_unused(262_145));
    }

    /// A log of single-page transactions, one for each byte: the page is full of it.
    fn log(pages: &[u8], commits: bool) -> Vec<u8> {
        let mut log = LOG_MAGIC.to_be_bytes().to_vec();
        log.extend([0; 12]);
        log.extend(*b"saltsalt");
        let mut sum = Sum(0, 0).over(&log, false);
        log.extend([sum.0.to_be_bytes(), sum.1.to_be_bytes()].concat());
        for (byte, last) in pages.iter().zip((1..=pages.len()).map(|no| no == pages.len())) {
            let size = u32::from(commits || last);
            let mut frame = [9_u32.to_be_bytes(), size.to_be_bytes()].concat();
            frame.extend(*b"saltsalt");
            frame.extend([0; 8]);
            frame.extend([*byte; PAGE_BYTES]);
            sum = sum.over_frame(&frame, false);
            frame[16..24].copy_from_slice(&[sum.0.to_be_bytes(), sum.1.to_be_bytes()].concat());
            log.extend(frame);
        }
        log
    }

    /// What a recovery and then reads of the pages say: the frames that the recovery reads until it stops or is refused.
    fn recover(log: &[u8]) -> Result<u64, u64> {
        let read = |at: u64, out: &mut [u8]| match log.get(at as usize..at as usize + out.len()) {
            Some(found) => {
                out.copy_from_slice(found);
                true
            }
            None => false,
        };
        let watch = LogWatch::default();
        if !watch.holds(0, &log[..32], &read) {
            return Err(0);
        }
        let Some(whole) = Log::open(&read) else { return Ok(0) };
        for (frame, number) in log[32..].chunks_exact(FRAME_BYTES as usize).zip(1..) {
            if !watch.holds(frame_at(number), frame, &read) {
                return Err(number);
            }
            if !whole.proves(number, frame) {
                return Ok(number - 1);
            }
        }
        Ok(log[32..].len() as u64 / FRAME_BYTES)
    }

    #[test]
    fn a_torn_end_is_no_rot() {
        let mut torn = log(&[1, 2, 3], true);
        assert_eq!(recover(&torn), Ok(3));
        let last = torn.len() - 1;
        torn[last] ^= 1;
        assert_eq!(recover(&torn), Ok(2));
        torn.truncate(last);
        assert_eq!(recover(&torn), Ok(2));
        let mut one_transaction = log(&[1, 2, 3], false);
        one_transaction[100] ^= 1;
        assert_eq!(recover(&one_transaction), Ok(0));
    }

    #[test]
    fn what_broke_before_a_later_transaction_is_rot() {
        let good = log(&[1, 2, 3, 4], true);
        let last = frame_at(4) as usize;
        for at in 0..last {
            let mut rotten = good.clone();
            rotten[at] ^= 0x10;
            assert!(recover(&rotten).is_err(), "byte {at}: {:?}", recover(&rotten));
        }
    }

    #[test]
    fn frames_are_unsure_between_an_overwrite_and_their_new_sums() {
        let mut watch = LogWatch::default();
        for frame in 1..=4 {
            watch.wrote(frame_at(frame), 24);
            watch.wrote(frame_at(frame) + 24, PAGE_BYTES);
        }
        assert!(watch.is_sure(4));
        watch.wrote(frame_at(2) + 24, PAGE_BYTES);
        assert!(watch.is_sure(1) && !watch.is_sure(2) && !watch.is_sure(5));
        (2..=5).for_each(|frame| watch.wrote(frame_at(frame), 24));
        assert!(watch.is_sure(5));
    }
}
