//! Real brokers, real processes, real lines

#[cfg(test)]
mod broker;
#[cfg(test)]
mod common;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod lines;
