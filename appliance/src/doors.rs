//! The screens of a back office, and who may enter them

use selvedge_domain::staff::Rights;

/// One screen that the person may enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// What its key says.
    pub name: &'static str,
    /// Where it is.
    pub path: &'static str,
    /// The person is there already.
    pub here: bool,
}

/// Where a person is taken after signing on.
pub const TODAY: &str = "/today";

/// Where store discounts are entered.
pub const OFFERS: &str = "/offers";

/// Where goods come in.
pub const RECEIVE: &str = "/stock/receive";

/// Where balances are corrected.
pub const CORRECT: &str = "/stock/correct";

/// Where the staff is listed.
pub const PEOPLE: &str = "/people";

/// Every screen: its key, its path, its name in the page, and the right that opens it.
const DOORS: [(&str, &str, &str, Rights); 5] = [
    ("Today", TODAY, "today", Rights(0)),
    ("Store discounts", OFFERS, "offers", Rights::MANAGE),
    ("Goods in", RECEIVE, "receive", Rights::STOCK),
    ("Corrections", CORRECT, "correct", Rights::STOCK),
    ("People", PEOPLE, "people", Rights::MANAGE),
];

/// The doors that these rights open.
pub fn open_to(rights: Rights, screen: &str) -> Vec<Door> {
    let open = DOORS.iter().filter(|door| rights.has(door.3));
    open.map(|door| Door { name: door.0, path: door.1, here: door.2 == screen }).collect()
}

/// Whether somebody with these rights has work in a back office.
pub fn works_here(rights: Rights) -> bool {
    rights.has(Rights::MANAGE) || rights.has(Rights::STOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_a_right_does_not_open_is_not_there() {
        let names = |rights| -> Vec<&str> {
            open_to(rights, "people").iter().map(|door| door.name).collect()
        };
        assert_eq!(names(Rights::STOCK), ["Today", "Goods in", "Corrections"]);
        assert_eq!(names(Rights::MANAGE), ["Today", "Store discounts", "People"]);
        assert_eq!(names(Rights::MANAGE.and(Rights::STOCK)).len(), 5);
        assert!(!works_here(Rights::SELL.and(Rights::DISCOUNT)));
        assert!(open_to(Rights::MANAGE, "people")[2].here);
    }
}
