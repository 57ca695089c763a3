//! The text file that admits a device to its chain
//!
//! HQ writes it, a stick or a copy brings it, and a person can read it. It holds HQ's public authority key, the row of the
//! device itself, and the rows of those whose word it must believe from the first minute on.

use std::fmt::Write;

use crate::allow_list::{Row, RowError};

/// What a device must know to be part of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// HQ's public key, which signs every row.
    pub authority: [u8; 32],
    /// First the device's own row, then HQ's rows and others that it should know. Never empty.
    pub rows: Vec<Row>,
}

impl Admission {
    /// The row of the device that this file admits.
    pub fn own(&self) -> &Row {
        self.rows.first().expect("an admission has the row of its device")
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let own = self.own();
        let mut text =
            format!("# Admits {} to its chain. Nothing in here is secret.\n", own.device);
        line(&mut text, "authority", &hex::encode(self.authority));
        for row in &self.rows {
            let Row { origin, device, store, role, label, .. } = row;
            let at = if *store == 0 { String::new() } else { format!(" of store {store}") };
            line(&mut text, "# origin", &format!("{origin}: {device}, {role}{at}, label {label}"));
            line(&mut text, "row", &hex::encode(row.to_bytes()));
        }
        text
    }

    /// Reads such a text, and checks that the authority signed each row.
    pub fn parse(text: &str) -> Result<Admission, AdmissionError> {
        let mut authority = None;
        let mut rows: Vec<Row> = Vec::new();
        for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |fault| AdmissionError::Line { line, fault };
            match (text.split_once(char::is_whitespace).unwrap_or((text, "")), authority) {
                (("authority", _), Some(_)) => return Err(wrong(LineFault::SecondAuthority)),
                (("authority", digits), None) => {
                    authority = Some(read_authority(digits).map_err(wrong)?);
                }
                (("row", _), None) => return Err(wrong(LineFault::RowFirst)),
                (("row", digits), Some(authority)) => {
                    let row = read_row(digits, &authority).map_err(wrong)?;
                    if rows.iter().any(|other| other.origin == row.origin) {
                        return Err(wrong(LineFault::OriginTwice));
                    }
                    rows.push(row);
                }
                ((word, _), _) => {
                    let word = word.chars().take(20).collect();
                    return Err(wrong(LineFault::Word { word }));
                }
            }
        }
        let authority = authority.ok_or(AdmissionError::NoAuthority)?;
        if rows.is_empty() {
            return Err(AdmissionError::NoRow);
        }
        Ok(Admission { authority, rows })
    }
}

fn line(text: &mut String, word: &str, rest: &str) {
    writeln!(text, "{word} {rest}").expect("memory takes every line");
}

fn read_authority(digits: &str) -> Result<[u8; 32], LineFault> {
    let bytes = hex::decode(digits.trim()).map_err(LineFault::Digits)?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| LineFault::AuthorityLength { digits: bytes.len() * 2 })
}

fn read_row(digits: &str, authority: &[u8; 32]) -> Result<Row, LineFault> {
    let row = Row::from_bytes(&hex::decode(digits.trim()).map_err(LineFault::Digits)?)?;
    row.verify(authority)?;
    Ok(row)
}

/// Why a file admits nobody.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// One line is wrong.
    #[error("line {line} of the admission: {fault}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// It is no admission, or cut off.
    #[error("the admission has no authority line: copy the whole file from HQ")]
    NoAuthority,
    /// It is cut off.
    #[error("the admission has no row line: copy the whole file from HQ")]
    NoRow,
}

/// What is wrong with a line of an admission.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// It starts with a word that no admission has.
    #[error("it starts with '{word}': write authority, row, or # before a comment")]
    Word {
        /// The word.
        word: String,
    },
    /// What follows is not hexadecimal.
    #[error("its digits are damaged ({0}): copy the line from HQ again")]
    Digits(hex::FromHexError),
    /// The key has another length.
    #[error("an authority has 64 digits, this one has {digits}: copy the line from HQ again")]
    AuthorityLength {
        /// How many there are.
        digits: usize,
    },
    /// There is more than one authority.
    #[error("a second authority: keep only the one of your HQ")]
    SecondAuthority,
    /// A row stands before the key that proves it.
    #[error("a row stands before the authority: put the authority line first")]
    RowFirst,
    /// Two rows have one origin.
    #[error("a second row of the same origin: ask HQ for a new admission")]
    OriginTwice,
    /// The row does not count.
    #[error("{0}: ask HQ for a new admission")]
    Row(#[from] RowError),
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::admission::Admission;
    use crate::allow_list::Row;
    use crate::device_keys::{DeviceKeys, SoftwareKeys};
    use crate::origin::{DeviceId, Origin, Role};

    fn admission() -> Admission {
        let authority = SoftwareKeys::from_seed([1; 32]);
        let row = |origin, device, store, role, label| {
            let (origin, device) = (Origin::new(origin).unwrap(), DeviceId::new(device).unwrap());
            Row::sign(origin, &device, store, role, label, [origin.get() as u8; 32], &authority)
        };
        let rows =
            vec![row(12, "s0001-p01", 1, Role::Pos, "T1"), row(1, "hq-w1", 0, Role::Hq, "HQ")];
        Admission { authority: authority.public(), rows }
    }

    #[test]
    fn an_admission_reads_back_and_tells_a_person_whom_it_admits() {
        let text = admission().to_text();
        assert_eq!(Admission::parse(&text).unwrap(), admission());
        let comments: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        expect![[r#"
            # Admits s0001-p01 to its chain. Nothing in here is secret.
            # origin 12: s0001-p01, pos of store 1, label T1
            # origin 1: hq-w1, hq, label HQ"#]]
        .assert_eq(&comments.join("\n"));
    }

    #[test]
    fn blank_lines_and_the_line_ends_of_another_system_do_no_harm() {
        let text =
            "\u{feff}# from HQ\r\n\r\n".to_owned() + &admission().to_text().replace('\n', "  \r\n");
        assert_eq!(Admission::parse(&text).unwrap(), admission());
    }

    #[test]
    fn a_wrong_line_is_named_with_what_to_do() {
        let text = admission().to_text();
        let lines: Vec<&str> = text.lines().collect();
        let (authority, own, hq) = (lines[1], lines[3], lines[5]);
        check(&[], expect!["the admission has no authority line: copy the whole file from HQ"]);
        check(&[authority], expect!["the admission has no row line: copy the whole file from HQ"]);
        check(
            &[own, authority],
            expect![
                "line 1 of the admission: a row stands before the authority: put the authority line first"
            ],
        );
        check(
            &[authority, own, own],
            expect![
                "line 3 of the admission: a second row of the same origin: ask HQ for a new admission"
            ],
        );
        check(
            &[authority, authority, own],
            expect!["line 2 of the admission: a second authority: keep only the one of your HQ"],
        );
        check(
            &[authority, "key 00"],
            expect![
                "line 2 of the admission: it starts with 'key': write authority, row, or # before a comment"
            ],
        );
        check(
            &["authority 00ff"],
            expect![
                "line 1 of the admission: an authority has 64 digits, this one has 4: copy the line from HQ again"
            ],
        );
        check(
            &["authority"],
            expect![
                "line 1 of the admission: an authority has 64 digits, this one has 0: copy the line from HQ again"
            ],
        );
        check(
            &[authority, "row 0g"],
            expect![
                "line 2 of the admission: its digits are damaged (Invalid character 'g' at position 1): copy the line from HQ again"
            ],
        );
        check(
            &[authority, own, &hq[..hq.len() - 2]],
            expect![
                "line 3 of the admission: the row cannot be read: no byte string at byte 59: ask HQ for a new admission"
            ],
        );
        let other = format!("authority {}", hex::encode([9; 32]));
        check(
            &["# a stranger's", &other, own],
            expect![
                "line 3 of the admission: the row of origin 12 (s0001-p01) is not signed by the authority of this chain: ask HQ for a new admission"
            ],
        );
    }

    fn check(lines: &[&str], says: Expect) {
        says.assert_eq(&Admission::parse(&lines.join("\n")).unwrap_err().to_string());
    }

    #[test]
    fn no_changed_digit_of_a_row_admits_anybody() {
        let text = admission().to_text();
        let row_at = text.find("\nrow ").unwrap() + 5;
        for at in row_at..row_at + admission().own().to_bytes().len() * 2 {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(Admission::parse(&changed).is_err(), "digit {at}");
        }
    }
}
