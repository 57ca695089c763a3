//! The merge rules, and who may write by them
//!
//! Almost every row of a shop floor has one writer or is a fact that nobody
//! changes: `fact` and `owner` carry most of the thread. A `register` is for the
//! few rows that several write. A counter is no kind of row of its own: its
//! table holds facts, and the sum is derived.

use crate::origin::Role;

/// How two writes of one table meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Rows are only added, each origin its own; the union of all is the truth.
    Fact,
    /// One role writes; its last entry wins.
    Owner,
    /// Facts whose sum is derived on each replica and never sent.
    Counter,
    /// Facts about rights, of which each holder moves only its own and never below nothing.
    Escrow,
    /// Several write; of each column the highest mark wins, and the loser is kept.
    Register,
}

impl Rule {
    /// The rule of this name, as a migration writes it.
    pub fn named(name: &str) -> Option<Rule> {
        match name {
            "fact" => Some(Rule::Fact),
            "owner" => Some(Rule::Owner),
            "counter" => Some(Rule::Counter),
            "escrow" => Some(Rule::Escrow),
            "register" => Some(Rule::Register),
            _ => None,
        }
    }

    /// True when rows are added and never changed.
    pub fn only_adds(self) -> bool {
        matches!(self, Rule::Fact | Rule::Counter | Rule::Escrow)
    }

    /// Who writes when the migration does not say.
    pub fn writers(self) -> Writers {
        match self {
            Rule::Owner => Writers::of(&[Role::Hq]),
            Rule::Fact | Rule::Counter | Rule::Escrow | Rule::Register => {
                Writers::of(&[Role::Pos, Role::BackOffice, Role::Hq])
            }
        }
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writers(u8);

impl Writers {
    /// The set of these roles.
    pub fn of(roles: &[Role]) -> Writers {
        Writers(roles.iter().fold(0, |set, role| set | bit(*role)))
    }

    /// Reads "pos back-office hq" in any order.
    pub fn parse(text: &str) -> Option<Writers> {
        let roles: Option<Vec<Role>> =
            text.split_whitespace().map(|word| Role::parse(word).ok()).collect();
        roles.filter(|roles| !roles.is_empty()).map(|roles| Writers::of(&roles))
    }

    /// True when this role may write.
    pub fn allow(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }
}

fn bit(role: Role) -> u8 {
    match role {
        Role::Hq => 1,
        Role::BackOffice => 2,
        Role::Pos => 4,
    }
}

/// Which stream a row of a table belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRule {
    /// Everyone.
    Chain,
    /// The writer's own store.
    Store,
    /// The store whose number stands in this column; 0 is the chain.
    By(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves TS-27: each table has one direction, written beside it.
    #[test]
    fn an_owner_table_is_written_by_headquarters_alone() {
        let writers = Rule::Owner.writers();
        assert!(writers.allow(Role::Hq));
        assert!(!writers.allow(Role::Pos) && !writers.allow(Role::BackOffice));
    }

    #[test]
    fn writers_are_read_in_any_order_and_nonsense_is_refused() {
        assert_eq!(
            Writers::parse("back-office pos"),
            Some(Writers::of(&[Role::Pos, Role::BackOffice]))
        );
        assert_eq!(Writers::parse("pos manager"), None);
        assert_eq!(Writers::parse(""), None);
    }
}
