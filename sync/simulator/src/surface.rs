//! Bytes of one file of a disk, in memory or in a real file
//!
//! Both behave alike, and a run of the same seed ends in the same digest on either. In memory the bytes lie in blocks that
//! copies share until one of them is written, so that a sync costs no copying.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

const BLOCK_BYTES: usize = 4_096;

thread_local! {
    static IN_FILES: Cell<bool> = const { Cell::new(false) };
}

/// From now on new files of this thread's disks lie in real files without a name, or in memory again.
pub fn keep_in_files(really: bool) {
    IN_FILES.set(really);
}

/// Bytes that can be read and written at any place.
#[derive(Debug)]
pub struct Surface {
    bytes: usize,
    medium: Medium,
}

#[derive(Debug)]
enum Medium {
    Memory(Vec<Rc<[u8; BLOCK_BYTES]>>),
    File(File),
}

impl Default for Surface {
    fn default() -> Surface {
        let medium = if IN_FILES.get() {
            Medium::File(tempfile::tempfile().expect("there is room for temporary files"))
        } else {
            Medium::Memory(Vec::new())
        };
        Surface { bytes: 0, medium }
    }
}

impl Clone for Surface {
    fn clone(&self) -> Surface {
        match &self.medium {
            Medium::Memory(blocks) => {
                Surface { bytes: self.bytes, medium: Medium::Memory(blocks.clone()) }
            }
            Medium::File(_) => {
                let mut copy = Surface::default();
                copy.write(0, &self.to_bytes());
                copy
            }
        }
    }
}

impl Surface {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// All of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut all = vec![0; self.bytes];
        self.read(0, &mut all);
        all
    }

    /// Reads from a place on, and says how many bytes were there.
    pub fn read(&self, at: usize, out: &mut [u8]) -> usize {
        let found = self.bytes.saturating_sub(at).min(out.len());
        match &self.medium {
            Medium::Memory(blocks) => {
                for (block, within, done) in pieces(at, found) {
                    let bytes = &blocks[block][within.clone()];
                    out[done..done + within.len()].copy_from_slice(bytes);
                }
            }
            Medium::File(file) => {
                file.read_exact_at(&mut out[..found], at as u64).expect("a temporary file reads");
            }
        }
        found
    }

    /// Writes at a place; what lies between the end and that place becomes zeros.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if self.bytes < at + bytes.len() {
            self.resize(at + bytes.len());
        }
        match &mut self.medium {
            Medium::Memory(blocks) => {
                for (block, within, done) in pieces(at, bytes.len()) {
                    let piece = &bytes[done..done + within.len()];
                    match piece.try_into() {
                        Ok(whole) => blocks[block] = Rc::new(whole),
                        Err(_) => Rc::make_mut(&mut blocks[block])[within].copy_from_slice(piece),
                    }
                }
            }
            Medium::File(file) => {
                file.write_all_at(bytes, at as u64).expect("a temporary file takes bytes");
            }
        }
    }

    /// Cuts or grows to a length.
    pub fn resize(&mut self, bytes: usize) {
        match &mut self.medium {
            Medium::Memory(blocks) => {
                blocks.resize(bytes.div_ceil(BLOCK_BYTES), Rc::new([0; BLOCK_BYTES]));
                // What is cut off reads as zeros when the file grows again.
                if bytes < self.bytes && !bytes.is_multiple_of(BLOCK_BYTES) {
                    let last = blocks.last_mut().expect("a part of a block is a block");
                    Rc::make_mut(last)[bytes % BLOCK_BYTES..].fill(0);
                }
            }
            Medium::File(file) => file.set_len(bytes as u64).expect("a temporary file is resized"),
        }
        self.bytes = bytes;
    }

    /// Takes over a range of another surface, of which this one is a copy in all that lies before it in the same blocks.
    pub fn take_over(&mut self, other: &Surface, at: usize, bytes: usize) {
        if self.bytes < at + bytes {
            self.resize(at + bytes);
        }
        if let (Medium::Memory(mine), Medium::Memory(theirs)) = (&mut self.medium, &other.medium) {
            for (block, _, _) in pieces(at, bytes) {
                mine[block] = theirs[block].clone();
            }
        } else {
            let mut range = vec![0; bytes];
            other.read(at, &mut range);
            self.write(at, &range);
        }
    }
}

/// The blocks of a range: which, what part of it, and how far into the range it begins.
fn pieces(at: usize, bytes: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (from, within) = (at + done, (at + done) % BLOCK_BYTES);
        let length = (BLOCK_BYTES - within).min(bytes - done);
        let begins = done;
        done += length;
        (length > 0).then_some((from / BLOCK_BYTES, within..within + length, begins))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    /// The same strokes on a surface and on a plain list of bytes.
    fn stroke(surface: &mut Surface, plain: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.below(20_000) as usize;
        if dice.chance(200) {
            surface.resize(at);
            plain.resize(at, 0);
            return;
        }
        let bytes = vec![dice.below(256) as u8; dice.below(9_000) as usize];
        surface.write(at, &bytes);
        if plain.len() < at + bytes.len() {
            plain.resize(at + bytes.len(), 0);
        }
        plain[at..at + bytes.len()].copy_from_slice(&bytes);
    }

    #[test]
    fn memory_and_files_hold_what_a_plain_list_would() {
        for in_files in [false, true] {
            keep_in_files(in_files);
            let (mut surface, mut plain) = (Surface::default(), Vec::new());
            let mut dice = Dice::new(9);
            for _ in 0..300 {
                let (before, kept) = (surface.clone(), plain.clone());
                stroke(&mut surface, &mut plain, &mut dice);
                assert_eq!(surface.to_bytes(), plain);
                assert_eq!(before.to_bytes(), kept, "a copy does not hear of it");
            }
            keep_in_files(false);
        }
    }
}
