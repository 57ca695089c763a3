-- What HQ derives from receipts (sums, balances, places in lists) it derives in
-- batches behind the commits that bring them, in the order of their arrival.
-- Row by row it cost more than half of what HQ can take.
DROP TRIGGER hq_receipt_is_summed;
DROP TRIGGER hq_balance_is_new;
DROP TRIGGER hq_balance_is_changed;
DROP TRIGGER receipt_line_takes_stock;
DROP INDEX hq_receipt_arrival_receipt;
DROP INDEX hq_receipt_arrival_store;
DROP INDEX hq_receipt_arrival_at;

-- Up to which arrival all is derived; it moves in the transaction that derives.
-- There is one row. A second one, under another life, came along when this
-- database was made anew from another: then all is derived again.
CREATE TABLE hq_derived (
    life BLOB    NOT NULL PRIMARY KEY,
    upto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO hq_derived SELECT randomblob(16), coalesce(max(arrival), 0) FROM hq_receipt_arrival;

-- Derived too: where a receipt stands, and what came from a store.
CREATE TABLE hq_arrival_of_receipt (
    receipt INTEGER NOT NULL PRIMARY KEY,
    arrival INTEGER NOT NULL
) STRICT;
INSERT INTO hq_arrival_of_receipt SELECT receipt, arrival FROM hq_receipt_arrival ORDER BY receipt;
CREATE TABLE hq_arrival_of_store (
    store   INTEGER NOT NULL,
    arrival INTEGER NOT NULL,
    PRIMARY KEY (store, arrival)
) STRICT, WITHOUT ROWID;
INSERT INTO hq_arrival_of_store SELECT store, arrival FROM hq_receipt_arrival ORDER BY store, arrival;

CREATE TRIGGER hq_receipt_arrives AFTER INSERT ON receipt BEGIN
    INSERT INTO hq_receipt_arrival (receipt, store, at)
    VALUES (new.id, new.store, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;

-- Movements are few: their balance is added up with them, and so it changes with them.
CREATE TRIGGER hq_movement_changes_balance AFTER INSERT ON stock_movement BEGIN
    INSERT INTO hq_stock_change (store, sku, change)
    VALUES (new.store, new.sku, 1 + (SELECT coalesce(max(change), 0) FROM hq_stock_change))
    ON CONFLICT (store, sku) DO UPDATE SET change = excluded.change;
END;
