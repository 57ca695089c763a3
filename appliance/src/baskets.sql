-- What is being rung up on this device, and what each posted request did.
-- Local to the device and never replicated: a database file of its own, so
-- that no line of a basket ever waits for a catalogue that is being received.

-- One basket is open or being paid at a time. `paying` is written before the
-- receipt: with the number it will get, so that after a crash the number tells
-- whether the receipt was made.
CREATE TABLE basket (
    id             INTEGER NOT NULL PRIMARY KEY,
    state          TEXT    NOT NULL CHECK (state IN ('open', 'paying', 'done')),
    revision       INTEGER NOT NULL DEFAULT 0,
    opened_at      INTEGER NOT NULL,
    cashier        INTEGER,
    receipt_no     INTEGER,
    paying_at      INTEGER,
    paying_request TEXT,
    receipt        INTEGER,
    number         TEXT,
    total_minor    INTEGER,
    change_minor   INTEGER,
    signature      TEXT
) STRICT;
CREATE UNIQUE INDEX basket_current ON basket ((state = 'done')) WHERE state <> 'done';

-- A line that was taken off keeps its row.
CREATE TABLE basket_line (
    basket           INTEGER NOT NULL REFERENCES basket (id),
    no               INTEGER NOT NULL,
    sku              INTEGER NOT NULL,
    gtin             TEXT,
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    discount_points  INTEGER NOT NULL DEFAULT 0,
    open_price_minor INTEGER,
    touched          INTEGER NOT NULL,
    state            TEXT    NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'void')),
    PRIMARY KEY (basket, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE basket_tender (
    basket       INTEGER NOT NULL REFERENCES basket (id),
    no           INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    request      TEXT    NOT NULL,
    PRIMARY KEY (basket, no)
) STRICT, WITHOUT ROWID;

-- Where each request led. NULL while its receipt is being written.
CREATE TABLE request (
    id     TEXT    NOT NULL PRIMARY KEY,
    serial INTEGER NOT NULL,
    answer TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX request_serial ON request (serial);

-- Who stands before the screen. The cookie is kept as its hash.
CREATE TABLE sign_on (
    cookie   BLOB    NOT NULL PRIMARY KEY,
    csrf     TEXT    NOT NULL,
    employee INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
