//! Stories of the trade, told over a database in memory

// Marked as tests, so that lints take the helpers in them for what they are.
#[cfg(test)]
mod back_office;
#[cfg(test)]
mod books;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod discounts;
#[cfg(test)]
mod in_doubt;
#[cfg(test)]
mod master_data;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod sales;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod staff;
#[cfg(test)]
mod world;
