//! The whole chain on one desk
