//! Stories of the trade, told over a database in memory

mod books;
mod master_data;
mod returns;
mod sales;
mod schema;
mod staff;
mod world;
