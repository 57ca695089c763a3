//! HQ from its files to its figures

mod admission;
mod decisions;
mod desk;
mod freshness;
mod import;
mod pages;
mod paging;
mod rest;
mod running;
mod served;
mod sums;
mod totals;
