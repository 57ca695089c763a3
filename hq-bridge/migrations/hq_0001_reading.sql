-- What HQ keeps beside the facts so that pages and /v1 answer quickly however
-- many receipts there are. All of it is local: nothing here replicates, and
-- all but the tokens can be made again from the facts.

-- What the receipts of one device come to, in all (day -1) and for each day
-- of UTC, by the moment on the receipt. The control totals do not use it: they
-- add up the receipts themselves. A sum that cannot be counted any more stays
-- at the largest number instead of refusing the receipt.
CREATE TABLE hq_receipt_sum (
    day            INTEGER NOT NULL,
    device         INTEGER NOT NULL, -- its origin
    receipts       INTEGER NOT NULL,
    sales_minor    INTEGER NOT NULL,
    returns_minor  INTEGER NOT NULL,
    tax_minor      INTEGER NOT NULL,
    newest_receipt INTEGER NOT NULL,
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

-- In which order receipts came to HQ, and when by HQ's clock, which never goes
-- back here. A cursor is a place in this order: what comes later stands later.
CREATE TABLE hq_receipt_arrival (
    arrival INTEGER NOT NULL PRIMARY KEY,
    receipt INTEGER NOT NULL,
    store   INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hq_receipt_arrival_receipt ON hq_receipt_arrival (receipt);
CREATE INDEX hq_receipt_arrival_store ON hq_receipt_arrival (store, arrival);
CREATE INDEX hq_receipt_arrival_at ON hq_receipt_arrival (at, arrival);

-- In which order exceptions came and were done. One that is done stands here
-- a second time, so who follows the order hears of it.
CREATE TABLE hq_exception_change (
    change    INTEGER NOT NULL PRIMARY KEY,
    exception INTEGER NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX hq_exception_change_of ON hq_exception_change (exception, change);
CREATE INDEX hq_exception_change_at ON hq_exception_change (at, change);

-- In which order balances changed. A balance that changes again moves to the end.
CREATE TABLE hq_stock_change (
    store  INTEGER NOT NULL,
    sku    INTEGER NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (store, sku)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX hq_stock_change_order ON hq_stock_change (change);

-- Stores find a SKU by its GTIN; reports find GTINs by their SKU.
CREATE INDEX hq_gtin_of_sku ON gtin (sku);

-- When HQ last knew all that a device had written, by HQ's own clock.
CREATE TABLE hq_device_complete (
    device TEXT    NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may ask /v1. Of a token only its hash is kept.
CREATE TABLE hq_api_token (
    name       TEXT    NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    scope      TEXT    NOT NULL,
    made_at    INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- What is here already. `id >> 40` is the origin of the device that wrote it.
INSERT INTO hq_receipt_sum
SELECT day, id >> 40, count(*),
       CAST(total(total_minor) FILTER (WHERE kind = 1) AS INTEGER),
       CAST(total(total_minor) FILTER (WHERE kind <> 1) AS INTEGER),
       CAST(total(tax_minor) AS INTEGER), max(id)
FROM (SELECT -1 AS day, id, kind, total_minor, tax_minor FROM receipt
      UNION ALL SELECT max(at, 0) / 86400000, id, kind, total_minor, tax_minor FROM receipt)
GROUP BY day, id >> 40;
INSERT INTO hq_receipt_arrival (receipt, store, at)
SELECT id, store, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM receipt ORDER BY id;
INSERT INTO hq_exception_change (exception, at)
SELECT id, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM exception ORDER BY id;
INSERT INTO hq_stock_change SELECT store, sku, row_number() OVER () FROM stock_balance;

CREATE TRIGGER hq_receipt_is_summed AFTER INSERT ON receipt BEGIN
    INSERT INTO hq_receipt_sum (day, device, receipts, sales_minor, returns_minor, tax_minor, newest_receipt)
    SELECT day, new.id >> 40, 1, iif(new.kind = 1, new.total_minor, 0),
           iif(new.kind <> 1, new.total_minor, 0), new.tax_minor, new.id
    FROM (SELECT -1 AS day UNION ALL SELECT max(new.at, 0) / 86400000)
    WHERE true
    ON CONFLICT (day, device) DO UPDATE
    SET receipts = receipts + 1,
        sales_minor = CAST(sales_minor + excluded.sales_minor AS INTEGER),
        returns_minor = CAST(returns_minor + excluded.returns_minor AS INTEGER),
        tax_minor = CAST(tax_minor + excluded.tax_minor AS INTEGER),
        newest_receipt = max(newest_receipt, excluded.newest_receipt);
    INSERT INTO hq_receipt_arrival (receipt, store, at)
    VALUES (new.id, new.store, max(
        CAST(unixepoch('subsec') * 1000 AS INTEGER),
        coalesce((SELECT at FROM hq_receipt_arrival ORDER BY arrival DESC LIMIT 1), 0)));
END;
CREATE TRIGGER hq_exception_is_new AFTER INSERT ON exception BEGIN
    INSERT INTO hq_exception_change (exception, at)
    VALUES (new.id, max(
        CAST(unixepoch('subsec') * 1000 AS INTEGER),
        coalesce((SELECT at FROM hq_exception_change ORDER BY change DESC LIMIT 1), 0)));
END;
CREATE TRIGGER hq_exception_is_done AFTER INSERT ON exception_done BEGIN
    INSERT INTO hq_exception_change (exception, at)
    VALUES (new.exception, max(
        CAST(unixepoch('subsec') * 1000 AS INTEGER),
        coalesce((SELECT at FROM hq_exception_change ORDER BY change DESC LIMIT 1), 0)));
END;
CREATE TRIGGER hq_balance_is_new AFTER INSERT ON stock_balance BEGIN
    INSERT INTO hq_stock_change (store, sku, change)
    VALUES (new.store, new.sku, 1 + (SELECT coalesce(max(change), 0) FROM hq_stock_change))
    ON CONFLICT (store, sku) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER hq_balance_is_changed AFTER UPDATE ON stock_balance BEGIN
    INSERT INTO hq_stock_change (store, sku, change)
    VALUES (new.store, new.sku, 1 + (SELECT coalesce(max(change), 0) FROM hq_stock_change))
    ON CONFLICT (store, sku) DO UPDATE SET change = excluded.change;
END;
