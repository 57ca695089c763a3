//! HQ hears every store and feeds reporting
