//! The list of migrations

/// Every change of the schema, oldest first: its name and its SQL.
pub const ALL: &[(&str, &str)] = &[
    ("0001_catalogue", include_str!("../migrations/0001_catalogue.sql")),
    ("0002_staff", include_str!("../migrations/0002_staff.sql")),
    ("0003_stock", include_str!("../migrations/0003_stock.sql")),
    ("0004_sales", include_str!("../migrations/0004_sales.sql")),
    ("0005_food", include_str!("../migrations/0005_food.sql")),
    ("0006_customers", include_str!("../migrations/0006_customers.sql")),
    ("0007_store_discounts", include_str!("../migrations/0007_store_discounts.sql")),
    ("0008_catalogue_change", include_str!("../migrations/0008_catalogue_change.sql")),
    ("0009_back_office", include_str!("../migrations/0009_back_office.sql")),
    ("0010_in_doubt", include_str!("../migrations/0010_in_doubt.sql")),
];
