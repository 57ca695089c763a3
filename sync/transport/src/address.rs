//! Where a broker answers, as a setting writes it

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;

/// The port of a broker whose address names none.
const PORT_USUAL: u16 = 1883;

/// The address of an MQTT broker: `mqtt://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// A name or an address. An IPv6 address stands in brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is not the address of a broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or none.
    #[error("{0:?} is not a broker address: write mqtt://host:port")]
    Scheme(String),
    /// TLS is asked for.
    #[error("{0:?} asks for TLS, which lines do not speak yet: write mqtt://host:port")]
    Tls(String),
    /// No host, or one with signs that no host has.
    #[error("{0:?} names no host: write mqtt://host:port")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("{0:?} has no usable port: a port is a number from 1 to 65535")]
    Port(String),
}

impl BrokerAddress {
    /// Reads `mqtt://host:port`; the port may be left out.
    pub fn parse(text: &str) -> Result<BrokerAddress, AddressError> {
        if text.starts_with("mqtts://") {
            return Err(AddressError::Tls(text.to_owned()));
        }
        let rest =
            text.strip_prefix("mqtt://").ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let colon =
            rest.rfind(':').filter(|at| rest.rfind(']').is_none_or(|bracket| bracket < *at));
        let (host, port) = match colon {
            Some(at) => (
                &rest[..at],
                parse_port(&rest[at + 1..]).ok_or_else(|| AddressError::Port(text.to_owned()))?,
            ),
            None => (rest, PORT_USUAL),
        };
        if !is_host(host) {
            return Err(AddressError::Host(text.to_owned()));
        }
        Ok(BrokerAddress { host: host.to_owned(), port })
    }
}

impl From<SocketAddrV4> for BrokerAddress {
    fn from(listen: SocketAddrV4) -> BrokerAddress {
        BrokerAddress { host: listen.ip().to_string(), port: listen.port() }
    }
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<BrokerAddress, AddressError> {
        BrokerAddress::parse(text)
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtt://{}:{}", self.host, self.port)
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn is_host(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        BrokerAddress::parse(text)
            .map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(told("mqtt://127.0.0.1:18830"), "mqtt://127.0.0.1:18830");
        assert_eq!(told("mqtt://back-office"), "mqtt://back-office:1883");
        assert_eq!(told("mqtt://[::1]:7/"), "mqtt://[::1]:7");
        assert_eq!(told("mqtt://[::1]"), "mqtt://[::1]:1883");
    }

    #[test]
    fn a_bad_address_says_what_to_write() {
        assert_eq!(
            told("localhost:1"),
            "\"localhost:1\" is not a broker address: write mqtt://host:port"
        );
        assert!(told("mqtts://hq:8883").contains("asks for TLS"));
        assert!(told("mqtt://:1883").contains("names no host"));
        assert!(told("mqtt://a b:1883").contains("names no host"));
        assert!(told("mqtt://::1:1883").contains("names no host"));
        assert!(told("mqtt://hq:0").contains("no usable port"));
        assert!(told("mqtt://hq:99999").contains("no usable port"));
        assert!(told("mqtt://hq:").contains("no usable port"));
    }
}
