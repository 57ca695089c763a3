//! Each setting of HQ with its name, default and meaning
//!
//! The file is TOML. A key that is not known is refused: a misspelt setting that is passed over in silence would leave
//! HQ running with a default that nobody chose.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use selvedge_sync::origin::DeviceId;
use selvedge_transport::address::BrokerAddress;
use serde::Deserialize;

/// The whole file with every key, its default and its meaning. `hq-bridge config` prints it.
pub const EXAMPLE: &str = r#"# Settings of hq-bridge. Every key has a default and may be left out, except `data`.

# Where HQ keeps its database and its keys. A relative path counts from this file's folder.
data = "hq-data"

# The device id of HQ's writer: at most 16 of a-z, 0-9 and "-". It is fixed by `hq-bridge init`.
name = "hq"

# Address of the pages and of the local interface that the commands use. Loopback only: nobody signs on here yet.
listen = "127.0.0.1:7080"

# The broker. An address such as "127.0.0.1:7883" (loopback only) starts HQ's own broker there, as a child process.
# "mqtt://host:port" uses a broker that runs elsewhere.
broker = "127.0.0.1:7883"

# Seconds between two beats: how often HQ and its stores tell each other what they have when nothing is sold. 1 to 3600.
beat_s = 10

# A folder on another disk for a second copy of every entry. Without one ("") stores keep everything, and what HQ heard
# last is lost with its disk unless a store still has it. A relative path counts from this file's folder.
second_copy = ""

# Whether the pages are dark: true or false.
night = false
"#;

/// What HQ was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the database and the keys are kept.
    pub data: PathBuf,
    /// Device id of HQ's writer.
    pub name: DeviceId,
    /// Address of the pages and the local interface.
    pub listen: SocketAddr,
    /// HQ's own broker, or one elsewhere.
    pub broker: Broker,
    /// Milliseconds between two beats.
    pub beat_ms: i64,
    /// Folder of the second copy.
    pub second_copy: Option<PathBuf>,
    /// Whether the pages are dark.
    pub night: bool,
}

/// Which broker carries the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// A child process of this binary, on this loopback address.
    Embedded(SocketAddrV4),
    /// A broker that runs elsewhere.
    External(BrokerAddress),
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file, or it cannot be read.
    #[error(
        "the settings file {path} cannot be read ({why}); `hq-bridge config > {path}` writes one with every key"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// The text is no TOML, or holds a key that is not known.
    #[error("the settings file {path} is not understood: {why}")]
    NotUnderstood {
        /// The file.
        path: String,
        /// What was found where, and what is known.
        why: String,
    },
    /// A value cannot be used.
    #[error("in the settings file {path}: {why}")]
    Value {
        /// The file.
        path: String,
        /// Which key, and what it may be.
        why: String,
    },
}

/// The file as written, before its values are looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    data: PathBuf,
    #[serde(default = "default_name")]
    name: String,
    #[serde(default = "default_listen")]
    listen: String,
    #[serde(default = "default_broker")]
    broker: String,
    #[serde(default = "default_beat_s")]
    beat_s: i64,
    #[serde(default)]
    second_copy: String,
    #[serde(default)]
    night: bool,
}

fn default_name() -> String {
    "hq".to_string()
}

fn default_listen() -> String {
    "127.0.0.1:7080".to_string()
}

fn default_broker() -> String {
    "127.0.0.1:7883".to_string()
}

fn default_beat_s() -> i64 {
    10
}

/// Reads the settings from a file.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|why| ConfigError::Unreadable { path: shown.clone(), why })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&text, folder, &shown)
}

/// Reads the settings from text that stood in `folder`.
pub fn parse(text: &str, folder: &Path, path: &str) -> Result<Config, ConfigError> {
    let written: Written = toml::from_str(text).map_err(|why| ConfigError::NotUnderstood {
        path: path.to_string(),
        why: why.to_string().trim_end().to_string(),
    })?;
    let refuse = |why: String| ConfigError::Value { path: path.to_string(), why };
    let name = DeviceId::new(&written.name).map_err(|_| {
        refuse(format!(
            "`name` is {:?}, but a device id has at most 16 of a-z, 0-9 and \"-\"",
            written.name
        ))
    })?;
    if !(1..=3_600).contains(&written.beat_s) {
        return Err(refuse(format!(
            "`beat_s` is {}, but a beat comes every 1 to 3600 seconds",
            written.beat_s
        )));
    }
    Ok(Config {
        data: folder.join(written.data),
        name,
        listen: loopback("listen", &written.listen).map_err(refuse)?,
        broker: broker(&written.broker).map_err(refuse)?,
        beat_ms: written.beat_s * 1_000,
        second_copy: Some(written.second_copy)
            .filter(|path| !path.is_empty())
            .map(|path| folder.join(path)),
        night: written.night,
    })
}

fn broker(text: &str) -> Result<Broker, String> {
    if text.contains("://") {
        return BrokerAddress::parse(text)
            .map(Broker::External)
            .map_err(|why| format!("`broker`: {why}"));
    }
    match loopback("broker", text)? {
        SocketAddr::V4(address) => Ok(Broker::Embedded(address)),
        SocketAddr::V6(address) => {
            Err(format!("`broker` is {address}, but HQ's own broker listens on 127.0.0.1"))
        }
    }
}

fn loopback(key: &str, text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!(
            "`{key}` is {text:?}, but it has to be an address and a port such as \"127.0.0.1:7080\""
        )
    })?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "`{key}` is {address}, but only loopback (127.0.0.1 or [::1]) is safe: nobody signs on there"
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let shown = match parse(text, Path::new("/srv/hq"), "hq.toml") {
            Ok(config) => format!("{config:?}"),
            Err(why) => why.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn the_example_holds_every_key_and_its_default() {
        let example = parse(EXAMPLE, Path::new("/srv"), "hq.toml").unwrap();
        let shortest = parse("data = \"hq-data\"", Path::new("/srv"), "hq.toml").unwrap();
        assert_eq!(example, shortest);
        assert_eq!(example.data, Path::new("/srv/hq-data"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        check(
            "data = \"d\"\nbeats = 4\n",
            expect![[r#"
            the settings file hq.toml is not understood: TOML parse error at line 2, column 1
              |
            2 | beats = 4
              | ^^^^^
            unknown field `beats`, expected one of `data`, `name`, `listen`, `broker`, `beat_s`, `second_copy`, `night`"#]],
        );
    }

    #[test]
    fn a_value_that_cannot_be_used_says_what_it_may_be() {
        check(
            "data = \"d\"\nbeat_s = 0\n",
            expect![
                "in the settings file hq.toml: `beat_s` is 0, but a beat comes every 1 to 3600 seconds"
            ],
        );
        check(
            "data = \"d\"\nlisten = \"0.0.0.0:80\"\n",
            expect![
                "in the settings file hq.toml: `listen` is 0.0.0.0:80, but only loopback (127.0.0.1 or [::1]) is safe: nobody signs on there"
            ],
        );
        check(
            "data = \"d\"\nlisten = \"7080\"\n",
            expect![[
                r#"in the settings file hq.toml: `listen` is "7080", but it has to be an address and a port such as "127.0.0.1:7080""#
            ]],
        );
        check(
            "data = \"d\"\nbroker = \"mqtts://box\"\n",
            expect![[
                r#"in the settings file hq.toml: `broker`: "mqtts://box" asks for TLS, which lines do not speak yet: write mqtt://host:port"#
            ]],
        );
        check(
            "data = \"d\"\nname = \"HQ one\"\n",
            expect![[
                r#"in the settings file hq.toml: `name` is "HQ one", but a device id has at most 16 of a-z, 0-9 and "-""#
            ]],
        );
    }

    #[test]
    fn a_broker_elsewhere_is_taken_as_it_is() {
        let config =
            parse("data = \"d\"\nbroker = \"mqtt://box:1883\"", Path::new(""), "hq.toml").unwrap();
        assert_eq!(
            config.broker,
            Broker::External(BrokerAddress::parse("mqtt://box:1883").unwrap())
        );
    }

    #[test]
    fn a_missing_file_says_how_to_get_one() {
        let why = read(Path::new("/nowhere/hq.toml")).unwrap_err();
        expect!["the settings file /nowhere/hq.toml cannot be read (No such file or directory (os error 2)); `hq-bridge config > /nowhere/hq.toml` writes one with every key"].assert_eq(&why.to_string());
    }
}
