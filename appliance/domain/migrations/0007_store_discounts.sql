-- A discount that a store gives by itself on one product, for a while. The
-- store's back office owns the row; it holds from the first moment to before
-- the last one, by the clock of the device that sells. To end one early, its end moves.
CREATE TABLE store_discount (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store           INTEGER NOT NULL CHECK (store > 0),
    product         INTEGER NOT NULL,
    discount_points INTEGER NOT NULL CHECK (discount_points BETWEEN 1 AND 10000), -- hundredths of a percent
    valid_from      INTEGER NOT NULL,
    valid_to        INTEGER NOT NULL CHECK (valid_to >= valid_from),
    employee        INTEGER NOT NULL -- who entered it
) STRICT;
-- With its end, so that a scan does not read what ended in other years.
CREATE INDEX store_discount_product ON store_discount (store, product, valid_to);

-- A manager has looked at an exception. Its key is the row id of that exception, which another device drew: so it is
-- carried as a plain number.
CREATE TABLE exception_done (
    exception INTEGER NOT NULL PRIMARY KEY CHECK (exception >> 40 > 0),
    store     INTEGER NOT NULL CHECK (store > 0),
    at        INTEGER NOT NULL,
    employee  INTEGER NOT NULL,
    note      TEXT
) STRICT;

INSERT INTO replicated (table_id, name, rule, stream, writers) VALUES
    (10, 'store_discount', 'owner', 'by:store', 'back-office'),
    (16, 'exception_done', 'fact', 'by:store', 'back-office');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (10, 'id', 'id'), (10, 'valid_from', 'time'), (10, 'valid_to', 'time'),
    (16, 'at', 'time');
