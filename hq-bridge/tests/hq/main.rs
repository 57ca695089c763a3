//! HQ from its files to its figures

mod admission;
mod desk;
mod import;
mod running;
mod totals;
