//! Reads and weighs the settings of a device
//!
//! One TOML file per device. A key that nobody knows is refused: a setting
//! spelled wrong and silently ignored is found by a customer, not by us.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::Deserialize;

use crate::simulated_terminal::Manner;
use crate::texts::{self, Language};

/// What a device is in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceRole {
    /// Runs the broker of the store.
    BackOffice,
    /// Where people buy.
    Pos,
}

/// Whom the screens of a pos are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A cashier sells.
    Checkout,
    /// A customer looks.
    Kiosk,
}

/// Which set of colours a screen takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Light {
    /// Dark letters on a light page.
    #[default]
    Day,
    /// Light letters on dark cloth.
    Night,
}

impl Light {
    /// As the page says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Light::Day => "day",
            Light::Night => "night",
        }
    }
}

/// How cards are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminal {
    /// By the cashier at a terminal that we do not speak with.
    #[default]
    ByHand,
    /// By a terminal that is only simulated.
    Simulated,
}

/// The settings of one device.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this device.
    pub device: String,
    /// What it is in its store.
    pub role: DeviceRole,
    /// Folder of the databases and of the key file.
    pub data: PathBuf,
    /// File that HQ printed when it admitted the device.
    pub admission: PathBuf,
    /// Where the pages answer.
    pub listen: SocketAddr,
    /// Broker of the parent.
    pub parent: Option<String>,
    /// Brokers of several that may be the parent, by device.
    pub parents: BTreeMap<String, String>,
    /// Where our own broker listens.
    pub broker_listen: Option<SocketAddr>,
    /// A broker that is already there.
    pub external_broker: Option<String>,
    /// Milliseconds between two beats.
    pub beat_ms: i64,
    /// Time zone of the clock on screen.
    pub time_zone: Tz,
    /// Whom the screens are for.
    pub modes: Vec<Mode>,
    /// Languages of the kiosk, the first one first.
    pub languages: Vec<&'static Language>,
    /// Which colours the screens have.
    pub light: Light,
    /// The panel in pixels.
    pub panel_width_px: u32,
    /// The panel in millimetres.
    pub panel_width_mm: u32,
    /// Milliseconds until the screen locks.
    pub lock_after_ms: i64,
    /// Free bytes below which no money is taken.
    pub space_min_bytes: u64,
    /// How cards are charged.
    pub card_terminal: Terminal,
    /// What a simulated terminal does.
    pub simulated_terminal: Manner,
    /// Folder with the two font files.
    pub fonts: Option<PathBuf>,
}

/// Why the settings are not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the config file {} cannot be read ({cause}); name one with --config", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is no TOML, or a key is unknown or of the wrong kind.
    #[error("the config file {}, line {line}: {what}; `appliance settings` lists every key", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A value is outside of what can be meant.
    #[error("the config file {}: {key} {must}", path.display())]
    BadValue {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What it must be.
        must: String,
    },
}

/// The file as it is written, before the values are weighed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    device: String,
    role: DeviceRole,
    data: PathBuf,
    admission: PathBuf,
    listen: Option<String>,
    parent: Option<String>,
    parents: Option<BTreeMap<String, String>>,
    acting: Option<bool>,
    broker_listen: Option<String>,
    external_broker: Option<String>,
    beat_s: Option<i64>,
    time_zone: Option<String>,
    modes: Option<Vec<Mode>>,
    languages: Option<Vec<String>>,
    light: Option<Light>,
    panel_width_px: Option<i64>,
    panel_width_mm: Option<i64>,
    lock_after_s: Option<i64>,
    space_min_mib: Option<i64>,
    card_terminal: Option<Terminal>,
    simulated_terminal: Option<Manner>,
    fonts: Option<PathBuf>,
}

impl Config {
    /// Reads and weighs the settings in a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        Config::parse(path, &text)
    }

    /// Weighs the settings in a text; the path is for the sentences.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            let what = error.message().to_owned();
            ConfigError::Malformed { path: path.to_owned(), line, what }
        })?;
        Weigh { path }.config(written)
    }

    /// Pixels of one millimetre of this panel.
    pub fn px_per_mm(&self) -> f64 {
        f64::from(self.panel_width_px) / f64::from(self.panel_width_mm)
    }
}

/// Weighs values and names the file when one is refused.
struct Weigh<'a> {
    path: &'a Path,
}

impl Weigh<'_> {
    fn config(&self, written: Written) -> Result<Config, ConfigError> {
        self.device(&written.device)?;
        self.brokers(&written)?;
        let listen = written.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        Ok(Config {
            listen: self.address("listen", &listen)?,
            parent: self.broker("parent", written.parent)?,
            parents: self.parents(written.parents.unwrap_or_default())?,
            broker_listen: written
                .broker_listen
                .map(|text| self.address("broker_listen", &text))
                .transpose()?,
            external_broker: self.broker("external_broker", written.external_broker)?,
            beat_ms: self.within("beat_s", written.beat_s.unwrap_or(10), 1, 3_600)? * 1_000,
            time_zone: self.zone(written.time_zone.as_deref().unwrap_or("UTC"))?,
            modes: self.modes(written.modes)?,
            languages: self.languages(written.languages)?,
            light: written.light.unwrap_or_default(),
            panel_width_px: self.size(
                "panel_width_px",
                written.panel_width_px.unwrap_or(1_366),
                320,
                16_000,
            )?,
            panel_width_mm: self.size(
                "panel_width_mm",
                written.panel_width_mm.unwrap_or(341),
                50,
                3_000,
            )?,
            lock_after_ms: self.within(
                "lock_after_s",
                written.lock_after_s.unwrap_or(90),
                10,
                86_400,
            )? * 1_000,
            space_min_bytes: u64::from(self.size(
                "space_min_mib",
                written.space_min_mib.unwrap_or(64),
                1,
                1_000_000,
            )?) << 20,
            card_terminal: written.card_terminal.unwrap_or_default(),
            simulated_terminal: written.simulated_terminal.unwrap_or_default(),
            fonts: written.fonts,
            device: written.device,
            role: written.role,
            data: written.data,
            admission: written.admission,
        })
    }

    fn refuse<T>(&self, key: &'static str, must: impl Into<String>) -> Result<T, ConfigError> {
        Err(ConfigError::BadValue { path: self.path.to_owned(), key, must: must.into() })
    }

    fn device(&self, name: &str) -> Result<(), ConfigError> {
        let fits =
            |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
        if name.is_empty() || name.len() > 16 || !name.bytes().all(fits) {
            return self.refuse("device", "must be 1 to 16 letters of a-z, 0-9 and -");
        }
        Ok(())
    }

    fn brokers(&self, written: &Written) -> Result<(), ConfigError> {
        let acting = written.acting.unwrap_or(false);
        if written.role == DeviceRole::Pos && written.broker_listen.is_some() && !acting {
            return self.refuse(
                "broker_listen",
                "is for a back office; a pos runs no broker unless `acting` is true",
            );
        }
        if written.role == DeviceRole::Pos && written.external_broker.is_some() {
            return self.refuse("external_broker", "is for a back office; a pos names its parent");
        }
        if written.parent.is_some() && written.parents.is_some() {
            return self.refuse("parents", "and parent exclude each other; keep one");
        }
        if written.broker_listen.is_some() && written.external_broker.is_some() {
            return self
                .refuse("external_broker", "and broker_listen exclude each other; keep one");
        }
        Ok(())
    }

    fn parents(
        &self,
        written: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        for (device, broker) in &written {
            self.device(device).or_else(|_| {
                self.refuse("parents", format!("names \"{device}\", which is no device"))
            })?;
            self.broker("parents", Some(broker.clone()))?;
        }
        Ok(written)
    }

    fn modes(&self, written: Option<Vec<Mode>>) -> Result<Vec<Mode>, ConfigError> {
        let modes = written.unwrap_or_else(|| vec![Mode::Checkout, Mode::Kiosk]);
        if modes.is_empty() {
            return self.refuse("modes", "must name \"checkout\", \"kiosk\", or both");
        }
        Ok(modes)
    }

    fn languages(
        &self,
        written: Option<Vec<String>>,
    ) -> Result<Vec<&'static Language>, ConfigError> {
        let Some(written) = written.filter(|codes| !codes.is_empty()) else {
            let others = texts::languages().iter().filter(|one| one.code() != texts::FALLBACK);
            return Ok(std::iter::once(texts::fallback()).chain(others).collect());
        };
        let known: Vec<&str> = texts::languages().iter().map(Language::code).collect();
        let find = |code: &String| match texts::language(code) {
            Some(language) => Ok(language),
            None => self.refuse(
                "languages",
                format!("names \"{code}\", but there are only {}", known.join(", ")),
            ),
        };
        written.iter().map(find).collect()
    }

    fn address(&self, key: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
        match text.parse() {
            Ok(address) => Ok(address),
            Err(_) => self.refuse(
                key,
                format!("must be ADDRESS:PORT, such as \"127.0.0.1:8080\", not \"{text}\""),
            ),
        }
    }

    fn zone(&self, name: &str) -> Result<Tz, ConfigError> {
        match name.parse() {
            Ok(zone) => Ok(zone),
            Err(_) => self.refuse(
                "time_zone",
                format!("must be a name such as \"Europe/Berlin\", not \"{name}\""),
            ),
        }
    }

    fn broker(
        &self,
        key: &'static str,
        text: Option<String>,
    ) -> Result<Option<String>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        let place = text.strip_prefix("mqtt://").and_then(|place| place.rsplit_once(':'));
        match place {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Some(text)),
            _ => self.refuse(key, format!("must be mqtt://HOST:PORT, not \"{text}\"")),
        }
    }

    fn within(
        &self,
        key: &'static str,
        value: i64,
        least: i64,
        most: i64,
    ) -> Result<i64, ConfigError> {
        if value < least || value > most {
            return self.refuse(key, format!("must lie between {least} and {most}, not {value}"));
        }
        Ok(value)
    }

    fn size(
        &self,
        key: &'static str,
        value: i64,
        least: i64,
        most: i64,
    ) -> Result<u32, ConfigError> {
        let value = self.within(key, value, least, most)?;
        match u32::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.refuse(key, "is too large"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{SETTINGS, manual};

    const NEEDED: &str =
        "device = \"s0001-p01\"\nrole = \"pos\"\ndata = \"/d\"\nadmission = \"/a\"\n";

    fn sentence(text: &str) -> String {
        match Config::parse(Path::new("pos.toml"), text) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_key_of_the_manual_is_taken_and_no_other() {
        let written = manual().replace("\"pos\"", "\"back-office\"");
        let alone: String = written
            .lines()
            .filter(|line| !line.starts_with("external_broker") && !line.starts_with("parents"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(sentence(&alone), "taken");
        let unknown = sentence(&format!("{NEEDED}colour = 1\n"));
        for setting in SETTINGS {
            assert!(
                unknown.contains(&format!("`{}`", setting.name)),
                "{}: {unknown}",
                setting.name
            );
        }
        assert!(unknown.starts_with("the config file pos.toml, line 5: unknown field `colour`"));
    }

    #[test]
    fn a_missing_file_and_a_bad_value_are_sentences() {
        let missing = Config::read(Path::new("/nowhere/pos.toml")).unwrap_err().to_string();
        assert!(
            missing.starts_with("the config file /nowhere/pos.toml cannot be read"),
            "{missing}"
        );
        for (line, said) in [
            ("beat_s = 0", "beat_s must lie between 1 and 3600, not 0"),
            ("listen = \"here\"", "listen must be ADDRESS:PORT"),
            ("parent = \"http://x\"", "parent must be mqtt://HOST:PORT"),
            ("broker_listen = \"127.0.0.1:1\"", "broker_listen is for a back office"),
            (
                "parents = { \"s1/#\" = \"mqtt://x:1\" }",
                "parents names \"s1/#\", which is no device",
            ),
            ("parents = { hq = \"http://x\" }", "parents must be mqtt://HOST:PORT"),
            ("modes = []", "modes must name \"checkout\", \"kiosk\", or both"),
            ("languages = [\"xx\"]", "languages names \"xx\", but there are only de, en"),
            ("panel_width_mm = 1", "panel_width_mm must lie between 50 and 3000"),
        ] {
            let sentence = sentence(&format!("{NEEDED}{line}\n"));
            assert!(sentence.contains(said), "{line}: {sentence}");
        }
        assert!(sentence("role = \"pos\"").contains("missing field `device`"));
        assert!(sentence(&NEEDED.replace("s0001-p01", "S 1")).contains("device must be 1 to 16"));
        assert_eq!(sentence(NEEDED), "taken");
    }
}
