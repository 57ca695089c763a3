//! The program on every back office and pos
