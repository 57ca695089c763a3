-- A movement is a fact and is sent to every replica of the store it moves.
CREATE TABLE stock_movement (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store    INTEGER NOT NULL CHECK (store > 0),
    sku      INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity <> 0),
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    employee INTEGER,
    note     TEXT
) STRICT;
-- A store begins with one opening stock per SKU. Other movements do not touch it.
CREATE INDEX stock_movement_opening ON stock_movement (store, sku) WHERE reason = 'opening';
INSERT INTO replicated (table_id, name, rule, stream, writers) VALUES
    (15, 'stock_movement', 'fact', 'by:store', 'pos back-office hq');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (15, 'id', 'id'), (15, 'at', 'time');

-- A balance is derived and never sent: each replica adds it up for itself.
-- Facts are only ever inserted, so there is nothing to undo.
CREATE TABLE stock_balance (
    store      INTEGER NOT NULL,
    sku        INTEGER NOT NULL,
    on_hand    INTEGER NOT NULL,
    changed_at INTEGER NOT NULL, -- the newest moment among what it adds up
    PRIMARY KEY (store, sku)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER stock_movement_adds_up AFTER INSERT ON stock_movement BEGIN
    INSERT INTO stock_balance (store, sku, on_hand, changed_at)
    VALUES (new.store, new.sku, new.quantity, new.at)
    ON CONFLICT (store, sku) DO UPDATE
    SET on_hand = on_hand + excluded.on_hand, changed_at = max(changed_at, excluded.changed_at);
END;
