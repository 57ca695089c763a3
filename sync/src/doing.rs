//! What the conversations of a replica are at, at a glance

use crate::{hub::Hub, session::Session};

/// What goes on at this moment. Several can be true; nothing is when all is said and heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doing {
    /// A line is down.
    pub alone: bool,
    /// A line is there, and what the other side has is not known yet.
    pub asking: bool,
    /// Entries are under way and not acknowledged.
    pub sending: bool,
    /// Frames wait to be applied.
    pub applying: bool,
    /// Somebody has written or signed whom nobody has vouched for yet.
    pub waiting: bool,
}

impl Hub {
    /// What goes on at this moment.
    pub fn doing(&self) -> Doing {
        let any = |is: fn(&Session) -> bool| self.peers.values().any(|peer| is(&peer.session));
        Doing {
            alone: any(|session| !session.is_up()),
            asking: any(|session| session.is_up() && !session.is_known()),
            sending: any(|session| session.is_waiting()),
            applying: !self.queue.is_empty(),
            waiting: !self.waiting.is_empty(),
        }
    }
}
