//! The trade's words, things and deeds
