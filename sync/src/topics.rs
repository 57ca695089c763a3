//! Names of MQTT topics, and whose they are
//!
//! A topic always names the child, whichever way the message goes: a child's parent may change, and every broker can
//! hold a device to the topics that bear its name. Stream and origin are inside the message.

use std::str;

use crate::origin::DeviceId;

/// The subscription of a parent: whatever its children send up.
pub const UP_FILTER: &str = "sv1/up/#";

/// The longest topic, in bytes: prefix, direction, device and kind.
pub const TOPIC_BYTES_MAX: usize = 32;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a child to its parent.
    Up,
    /// From a parent to its child.
    Down,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A frame of new entries.
    Live,
    /// A frame of the backlog.
    Bulk,
    /// What was made durable, and the beat.
    Ack,
    /// What one has and wants.
    Need,
    /// Which views one has, or a stretch of a newer one.
    View,
    /// A piece of a snapshot, or a wish for one.
    Snap,
}

impl Direction {
    const ALL: [Direction; 2] = [Direction::Up, Direction::Down];

    /// Its level in a topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Live, Kind::Bulk, Kind::Ack, Kind::Need, Kind::View, Kind::Snap];

    /// Its level in a topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Live => "live",
            Kind::Bulk => "bulk",
            Kind::Ack => "ack",
            Kind::Need => "need",
            Kind::View => "view",
            Kind::Snap => "snap",
        }
    }
}

/// The topic on which a child sends to its parent.
pub fn up(child: &DeviceId, kind: Kind) -> String {
    name(Direction::Up, child, kind)
}

/// The topic on which a parent sends to this child.
pub fn down(child: &DeviceId, kind: Kind) -> String {
    name(Direction::Down, child, kind)
}

/// The subscription of a child: whatever its parent sends down to it.
pub fn down_filter(child: &DeviceId) -> String {
    format!("sv1/down/{child}/#")
}

/// The topic on which a watchdog hears itself through the broker.
pub fn probe(device: &DeviceId) -> String {
    format!("sv1/probe/{device}")
}

/// Reads a topic. Whatever is not exactly one of ours is none.
pub fn parse(topic: impl AsRef<[u8]>) -> Option<(Direction, DeviceId, Kind)> {
    let topic = topic.as_ref();
    if topic.len() > TOPIC_BYTES_MAX {
        return None;
    }
    let mut levels = str::from_utf8(topic).ok()?.split('/');
    let prefix = levels.next()?;
    let direction = levels.next()?;
    let device = levels.next()?;
    let kind = levels.next()?;
    if prefix != "sv1" || levels.next().is_some() {
        return None;
    }
    let direction = Direction::ALL.into_iter().find(|known| known.as_str() == direction)?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some((direction, DeviceId::new(device).ok()?, kind))
}

fn name(direction: Direction, child: &DeviceId, kind: Kind) -> String {
    format!("sv1/{}/{child}/{}", direction.as_str(), kind.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::origin::DeviceId;
    use crate::topics::{
        Direction, Kind, TOPIC_BYTES_MAX, UP_FILTER, down, down_filter, parse, probe, up,
    };

    fn device(name: &str) -> DeviceId {
        DeviceId::new(name).unwrap()
    }

    #[test]
    fn a_topic_names_the_child_whichever_way_it_goes() {
        let child = device("s0001-p01");
        assert_eq!(up(&child, Kind::Live), "sv1/up/s0001-p01/live");
        assert_eq!(down(&child, Kind::Ack), "sv1/down/s0001-p01/ack");
        assert_eq!(down_filter(&child), "sv1/down/s0001-p01/#");
        assert_eq!(probe(&child), "sv1/probe/s0001-p01");
        assert_eq!(UP_FILTER, "sv1/up/#");
    }

    #[test]
    fn every_topic_reads_back() {
        let child = device("0123456789abcdef");
        for kind in Kind::ALL {
            assert_eq!(parse(up(&child, kind)), Some((Direction::Up, child.clone(), kind)));
            assert_eq!(parse(down(&child, kind)), Some((Direction::Down, child.clone(), kind)));
            assert!(down(&child, kind).len() <= TOPIC_BYTES_MAX);
        }
    }

    #[test]
    fn a_name_that_begins_like_another_is_another() {
        let (_, found, _) = parse("sv1/up/s0001-p011/live").unwrap();
        assert_ne!(found, device("s0001-p01"));
        assert!(!up(&found, Kind::Live).starts_with(&up(&device("s0001-p01"), Kind::Live)));
        let filter = down_filter(&device("s0001-p01"));
        assert!(!down(&found, Kind::Live).starts_with(filter.trim_end_matches('#')));
    }

    #[test]
    fn what_is_not_exactly_a_topic_of_ours_is_none() {
        for other in [
            "",
            "/",
            "////",
            "sv1",
            "sv1/up/s0001-p01",
            "sv1/up/s0001-p01/",
            "sv1/up//live",
            "sv1/up/s0001-p01/live/",
            "sv1/up/s0001-p01/live/x",
            "/sv1/up/s0001-p01/live",
            "sv1//up/s0001-p01/live",
            "SV1/up/s0001-p01/live",
            "sv1/UP/s0001-p01/live",
            "sv1/up/S0001-P01/live",
            "sv1/up/s0001-p01/Live",
            "sv2/up/s0001-p01/live",
            "sv11/up/s0001-p01/live",
            "sv1/sideways/s0001-p01/live",
            "sv1/up/s0001-p01/live ",
            "sv1/up/s0001-p01 /live",
            "sv1/up/s0001-p01\0/live",
            "sv1/up/+/live",
            "sv1/up/#",
            "sv1/up/s0001-p01/#",
            "$share/g/sv1/up/s0001-p01/live",
            "sv1/up/s0001-p0\u{661}/live",
            "sv1/up/\u{ff53}0001-p01/live",
            "sv1/up/0123456789abcdefg/live",
            "sv1/probe/s0001-p01",
        ] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert_eq!(parse([b's', b'v', b'1', b'/', 0xff, 0xfe]), None);
        assert_eq!(parse(b"sv1/up/s0001\xc3-p01/live"), None);
        assert_eq!(parse(vec![b'/'; 70_000]), None);
    }

    proptest! {
        #[test]
        fn whatever_reads_is_exactly_what_would_be_written(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            text in "(sv1|sv2)/(up|down|cast)/[a-zA-Z0-9/-]{0,18}/(live|bulk|ack|need|view|snap|[a-z]{0,5})",
        ) {
            for topic in [&bytes[..], text.as_bytes()] {
                if let Some((direction, device, kind)) = parse(topic) {
                    let written = match direction {
                        Direction::Up => up(&device, kind),
                        Direction::Down => down(&device, kind),
                    };
                    prop_assert_eq!(written.as_bytes(), topic);
                }
            }
        }
    }
}
