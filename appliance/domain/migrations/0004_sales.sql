-- A receipt, its lines and its tenders are facts and travel as one.
--
-- None of these tables has an index of every row beside its key: each would cost
-- a page of every sale. The one below holds returns only.
CREATE TABLE receipt (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    no          INTEGER NOT NULL CHECK (no > 0),
    kind        INTEGER NOT NULL CHECK (kind IN (1, 2, 3)), -- 1 sale, 2 return, 3 void
    cashier     INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    store       INTEGER NOT NULL CHECK (store > 0),
    total_minor INTEGER NOT NULL,
    tax_minor   INTEGER NOT NULL,
    customer    INTEGER,
    of          INTEGER, -- the receipt that a return takes back or a void reverses, or NULL
    currency    TEXT     -- NULL: the store's
) STRICT;
CREATE INDEX receipt_of ON receipt (of) WHERE of IS NOT NULL;

-- What a line comes to is quantity * unit_minor - discount_minor. Sold goods
-- have a positive quantity, returned goods a negative one and give their
-- discount back. A line of a return bears the number of the line it takes back.
CREATE TABLE receipt_line (
    receipt        INTEGER NOT NULL REFERENCES receipt (id),
    no             INTEGER NOT NULL CHECK (no > 0),
    sku            INTEGER NOT NULL,
    quantity       INTEGER NOT NULL CHECK (quantity <> 0),
    unit_minor     INTEGER NOT NULL CHECK (unit_minor >= 0),
    tax_class      INTEGER NOT NULL,
    discount_minor INTEGER, -- NULL: none
    reason         TEXT,
    gtin           INTEGER, -- NULL: the catalogue's
    name           TEXT,    -- NULL: the catalogue's
    PRIMARY KEY (receipt, no)
) STRICT, WITHOUT ROWID;

-- The amounts of a receipt's tenders add up to its total. What was handed over
-- above the amount went back as change. What a card terminal approved bears the
-- payment intent that it was asked with, which no second receipt bears.
CREATE TABLE tender (
    receipt      INTEGER NOT NULL REFERENCES receipt (id),
    no           INTEGER NOT NULL CHECK (no > 0),
    kind         INTEGER NOT NULL, -- 1 cash, 2 card, 3 voucher
    amount_minor INTEGER NOT NULL,
    given_minor  INTEGER, -- NULL: the amount
    intent       INTEGER, -- NULL: no card terminal was asked
    reference    TEXT,    -- the terminal's own, for who looks it up there
    PRIMARY KEY (receipt, no)
) STRICT, WITHOUT ROWID;

-- Something a person should look at. Never a reason to refuse a sale.
CREATE TABLE exception (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store   INTEGER NOT NULL CHECK (store > 0),
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    receipt INTEGER,
    sku     INTEGER,
    amount  INTEGER,
    note    TEXT
) STRICT;

-- The running totals of all receipts of one device, from its first to last_no.
CREATE TABLE grand_total (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store         INTEGER NOT NULL CHECK (store > 0),
    at            INTEGER NOT NULL,
    last_no       INTEGER NOT NULL CHECK (last_no > 0),
    sales_minor   INTEGER NOT NULL,
    returns_minor INTEGER NOT NULL,
    tax_minor     INTEGER NOT NULL
) STRICT;

INSERT INTO replicated (table_id, name, rule, stream, writers) VALUES
    (12, 'receipt', 'fact', 'store', 'pos back-office'),
    (13, 'receipt_line', 'fact', 'store', 'pos back-office'),
    (14, 'tender', 'fact', 'store', 'pos back-office'),
    (18, 'exception', 'fact', 'by:store', 'pos back-office hq'),
    (19, 'grand_total', 'fact', 'store', 'pos back-office');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (12, 'id', 'id'), (12, 'at', 'time'), (12, 'customer', 'id'), (12, 'of', 'id'),
    (13, 'receipt', 'id'),
    (14, 'receipt', 'id'),
    (18, 'id', 'id'), (18, 'at', 'time'), (18, 'receipt', 'id'),
    (19, 'id', 'id'), (19, 'at', 'time');

-- A receipt line is the stock movement of its sale: no second row is written.
CREATE TRIGGER receipt_line_takes_stock AFTER INSERT ON receipt_line BEGIN
    INSERT INTO stock_balance (store, sku, on_hand, changed_at)
    SELECT store, new.sku, -new.quantity, at FROM receipt WHERE id = new.receipt
    ON CONFLICT (store, sku) DO UPDATE
    SET on_hand = on_hand + excluded.on_hand, changed_at = max(changed_at, excluded.changed_at);
END;
