//! Master data from files: catalogue, prices, taxes, people

pub mod fields;
pub mod lines;
pub mod rows;

pub mod stores;

pub mod taxes;

pub mod catalogue;
pub mod customers;
pub mod employees;
pub mod nutrition;
pub mod opening_stock;
pub mod prices;

use std::io::Read;

use crate::database::Database;
use crate::import::catalogue::Catalogue;
use crate::import::customers::Customers;
use crate::import::employees::Employees;
use crate::import::nutrition::Nutrition;
use crate::import::opening_stock::OpeningStock;
use crate::import::prices::Prices;
use crate::import::rows::{ImportError, Kind, Report, Summary};
use crate::import::stores::Stores;
use crate::import::taxes::Taxes;

/// Which file is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileKind {
    /// Products, variants and GTINs.
    Catalogue,
    /// Prices with the moment from which they count.
    Prices,
    /// Tax rates of each store.
    Taxes,
    /// The chain's stores.
    Stores,
    /// Who works where.
    Employees,
    /// What each store had when Selvedge began.
    OpeningStock,
    /// What is in food and drinks.
    Nutrition,
    /// Customers with card and discount.
    Customers,
}

impl FileKind {
    /// Every kind, in the order in which a new chain imports them.
    pub const ALL: [FileKind; 8] = [
        FileKind::Stores,
        FileKind::Taxes,
        FileKind::Catalogue,
        FileKind::Prices,
        FileKind::Employees,
        FileKind::OpeningStock,
        FileKind::Nutrition,
        FileKind::Customers,
    ];

    /// As the command line and the address of the local interface write it.
    pub fn as_str(self) -> &'static str {
        match self {
            FileKind::Catalogue => "catalogue",
            FileKind::Prices => "prices",
            FileKind::Taxes => "taxes",
            FileKind::Stores => "stores",
            FileKind::Employees => "employees",
            FileKind::OpeningStock => "opening-stock",
            FileKind::Nutrition => "nutrition",
            FileKind::Customers => "customers",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<FileKind> {
        FileKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The columns of its header.
    pub fn header(self) -> &'static [&'static str] {
        match self {
            FileKind::Catalogue => Catalogue::HEADER,
            FileKind::Prices => Prices::HEADER,
            FileKind::Taxes => Taxes::HEADER,
            FileKind::Stores => Stores::HEADER,
            FileKind::Employees => Employees::HEADER,
            FileKind::OpeningStock => OpeningStock::HEADER,
            FileKind::Nutrition => Nutrition::HEADER,
            FileKind::Customers => Customers::HEADER,
        }
    }
}

/// Reads a file into the database. Refused rows are told one by one.
pub fn run(
    kind: FileKind,
    from: impl Read,
    database: &Database,
    report: &mut Report<'_>,
) -> Result<Summary, ImportError> {
    match kind {
        FileKind::Catalogue => rows::read::<Catalogue>(from, database, report),
        FileKind::Prices => rows::read::<Prices>(from, database, report),
        FileKind::Taxes => rows::read::<Taxes>(from, database, report),
        FileKind::Stores => rows::read::<Stores>(from, database, report),
        FileKind::Employees => rows::read::<Employees>(from, database, report),
        FileKind::OpeningStock => rows::read::<OpeningStock>(from, database, report),
        FileKind::Nutrition => rows::read::<Nutrition>(from, database, report),
        FileKind::Customers => rows::read::<Customers>(from, database, report),
    }
}
