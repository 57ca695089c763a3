//! Virtual replicas on virtual time, one seed a run

pub mod dice;

pub mod clocks;

pub mod surface;

pub mod wrong_bits;

pub mod platter;

pub mod tampering;

pub mod drive;

pub mod disk;

pub mod blank;

pub mod network;

pub mod power;

pub mod agenda;

pub mod swarm;

pub mod scheme;

pub mod coverage;

pub mod keys;

pub mod shadow;

pub mod figures;

pub mod ledger;

pub mod trade;

pub mod tags;

pub mod upgrades;

pub mod trimming;

pub mod device;

pub mod liar;

pub mod chain;

pub mod vault;

pub mod verdict;

pub mod tag_verdict;

pub mod upgrade_verdict;

pub mod sidelines;

pub mod workload;

pub mod stage;

pub mod keeping_twice;

pub mod starts;

pub mod errands;

pub mod beside;

pub mod trading;

pub mod generations;

pub mod rot;

pub mod parentage;

pub mod mishaps;

pub mod world;

pub mod shrink;

pub mod crew;

pub mod proof;

pub mod mutants;

pub mod memory;

pub mod trials;

pub mod promise;

pub mod engine_trials;

pub mod rare_trials;

pub mod flips;

pub mod letters;

pub mod damage;

pub mod papers;

pub mod sums;

pub mod grammar;

pub mod parsers;

pub mod fuzz;
