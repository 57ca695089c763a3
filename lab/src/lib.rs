//! The whole chain on one desk

pub mod sources;
pub mod rows;
pub mod goods;
pub mod world;
pub mod wires;
pub mod recompute;
pub mod trade_file;
pub mod forms;
pub mod hold;
pub mod process;
pub mod import_files;
pub mod layout;
pub mod chain;
pub mod standing;
pub mod desk_page;
pub mod demo;
pub mod hands;
pub mod verdict;
pub mod ring;
pub mod figure;
pub mod replicas;
pub mod check;
pub mod bench_desk;
pub mod cpu;
pub mod plain_sale;
pub mod bench;
