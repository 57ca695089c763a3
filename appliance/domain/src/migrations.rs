//! The list of migrations

/// Every change of the schema, oldest first: its name and its SQL.
pub const ALL: &[(&str, &str)] = &[
    ("0001_catalogue", include_str!("../migrations/0001_catalogue.sql")),
    ("0002_staff", include_str!("../migrations/0002_staff.sql")),
    ("0003_stock", include_str!("../migrations/0003_stock.sql")),
    ("0004_sales", include_str!("../migrations/0004_sales.sql")),
];
