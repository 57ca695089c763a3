//! The money of a trade file, added up in exact decimals
//!
//! It shares no line with the ringing: it sees the texts of the file and its own rule, so that a mistake of one does
//! not hide in the other. The device of an invoice is the one thing both must agree on, and so it stands here.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Offset and prime of the 64-bit FNV-1a hash, which is the same on every machine and in every release.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// The first multiplier of MurmurHash3's last step.
const MIX: u64 = 0xff51_afd7_ed55_8ccd;

/// The device that rings an invoice up, counted from 0.
pub fn device_of(invoice: &str, devices: usize) -> usize {
    assert!(devices > 0, "somebody has to ring it up");
    let hash = invoice
        .bytes()
        .fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    // Mixed once more: numbers that follow each other differ in few bits of this hash.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(MIX);
    ((mixed ^ (mixed >> 33)) % devices as u64) as usize
}

/// Sums by device, in exact decimals.
#[derive(Debug)]
pub struct Recomputation {
    by_device: Vec<Decimal>,
}

impl Recomputation {
    /// Nothing yet, for this many devices.
    pub fn new(devices: usize) -> Recomputation {
        Recomputation { by_device: vec![Decimal::ZERO; devices] }
    }

    /// Adds quantity times price of one row, unless its price is one that money cannot hold.
    pub fn add(&mut self, invoice: &str, quantity: &str, price: &str) {
        let (Ok(quantity), Ok(price)) =
            (Decimal::from_str_exact(quantity), Decimal::from_str_exact(price))
        else {
            return;
        };
        let outside = price.is_sign_negative() || price.round_dp(2) != price;
        // A refused row sells nothing: neither does a cancellation that sells.
        if outside || (invoice.starts_with('C') && quantity.is_sign_positive()) {
            return;
        }
        let place = device_of(invoice, self.by_device.len());
        self.by_device[place] += quantity * price;
    }

    /// Pence of each device, or nothing if any sum has parts of a penny.
    pub fn minor_by_device(&self) -> Option<Vec<i64>> {
        let minor = |sum: &Decimal| {
            let minor = sum * Decimal::ONE_HUNDRED;
            if minor.fract().is_zero() { minor.to_i64() } else { None }
        };
        self.by_device.iter().map(minor).collect()
    }

    /// All devices together.
    pub fn in_all(&self) -> Decimal {
        self.by_device.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_always_rung_up_at_the_same_device_and_all_devices_have_work() {
        assert_eq!(device_of("536365", 4), device_of("536365", 4));
        let mut load = [0; 4];
        for number in 536_365..537_365 {
            load[device_of(&number.to_string(), 4)] += 1;
        }
        assert!(load.iter().all(|invoices| (150..350).contains(invoices)), "{load:?}");
    }

    #[test]
    fn money_that_pence_cannot_hold_is_left_out() {
        let mut check = Recomputation::new(1);
        check.add("1", "3", "2.55");
        check.add("2", "1", "0.001");
        check.add("A3", "1", "-11062.06");
        check.add("C4", "-1", "2.55");
        assert_eq!(check.in_all().to_string(), "5.10");
        assert_eq!(check.minor_by_device(), Some(vec![510]));
    }
}
