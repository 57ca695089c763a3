//! What happens to a disk past all writing: rot, hands, eyes

use crate::platter::{File, Platter};
use selvedge_sync::page_sum::{self, PAGE_BYTES};

impl Platter {
    /// Flips a bit of a file, as rot does: whoever reads sees it, and a power cut leaves it. False where no bit is.
    pub fn flip(&mut self, name: &str, bit: usize) -> bool {
        let Some(file) = self.find(name).map(|file| &mut self.files[file.0]) else { return false };
        let there = bit / 8 < file.seen.len();
        for side in [&mut file.seen, &mut file.durable] {
            let mut byte = [0];
            if side.read(bit / 8, &mut byte) == 1 {
                side.write(bit / 8, &[byte[0] ^ 1 << (bit % 8)]);
            }
        }
        if there {
            let settled = file.is_settled(bit / 8);
            file.wrong.flip(bit, settled);
        }
        there
    }

    /// Whether anybody was given a bit that had flipped, since this was last forgotten.
    pub fn gave_wrong(&self) -> bool {
        self.gave_wrong.get()
    }

    /// Forgets whether anybody was given such a bit, or remembers it.
    pub fn note_wrong(&self, gave: bool) {
        self.gave_wrong.set(gave);
    }

    /// Takes over what another platter holds under a name: durable, and no operation.
    pub fn take_from(&mut self, other: &Platter, from: &str, name: &str) {
        let file = other.names.get(from).expect("what is taken over is there");
        let seen = other.files[*file].seen.clone();
        let mut copy = File::default();
        (copy.durable, copy.seen) = (seen.clone(), seen);
        self.files.push(copy);
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.durable_names.insert(name.to_owned(), self.files.len() - 1);
    }

    /// Flips bits back where their page is still not what was written.
    pub fn flip_back(&mut self, name: &str, bits: &[usize]) {
        let Some(file) = self.find(name) else { return };
        for bit in bits {
            let place = bit / 8 / PAGE_BYTES;
            let mut page = [0; PAGE_BYTES];
            self.files[file.0].seen.read(place * PAGE_BYTES, &mut page);
            if !page_sum::holds(&page, place as u32 + 1) {
                self.flip(name, *bit);
            }
        }
    }

    /// Puts other bytes in the place of some of a file, past all writing.
    pub fn overwrite(&mut self, name: &str, at: usize, bytes: &[u8]) {
        if let Some(file) = self.find(name).map(|file| &mut self.files[file.0]) {
            file.seen.write(at, bytes);
            file.durable.write(at, bytes);
        }
    }

    /// Keeps what it holds before each operation from now on.
    pub fn film(&mut self) {
        self.film = Some(Vec::new());
    }

    /// Pictures taken so far.
    pub fn filmed(&self) -> usize {
        self.film.as_ref().map_or(0, Vec::len)
    }

    /// All pictures, and what it holds now as the last one.
    pub fn take_film(&mut self) -> Vec<Platter> {
        let mut film = self.film.take().unwrap_or_default();
        film.push(self.clone());
        film
    }

    /// A hash of all names and of what their files show.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = blake3::Hasher::new();
        for (name, file) in &self.names {
            let bytes = self.files[*file].seen.to_bytes();
            all.update(name.as_bytes()).update(&(bytes.len() as u64).to_be_bytes()).update(&bytes);
        }
        *all.finalize().as_bytes()
    }

    /// Moves a file to another name at once, durable.
    pub fn move_name(&mut self, from: &str, to: &str) -> bool {
        self.sync_names();
        let moved = self.names.remove(from).map(|file| self.names.insert(to.to_owned(), file));
        self.durable_names = self.names.clone();
        moved.is_some()
    }

    /// Takes a name away at once, durable.
    pub fn drop_name(&mut self, name: &str) {
        self.sync_names();
        self.names.remove(name);
        self.durable_names = self.names.clone();
    }
}
