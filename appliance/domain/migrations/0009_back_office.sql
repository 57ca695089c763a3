-- What a back office keeps beside the facts. Nothing here is sent.

-- Exceptions that nobody has called done yet, oldest first in each store. Derived: an exception that comes after the
-- row that calls it done is never open.
CREATE TABLE exception_open (
    store INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    id    INTEGER NOT NULL,
    PRIMARY KEY (store, at, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER exception_opens AFTER INSERT ON exception BEGIN
    INSERT INTO exception_open (store, at, id) SELECT new.store, new.at, new.id
    WHERE NOT EXISTS (SELECT 1 FROM exception_done WHERE exception = new.id);
END;
CREATE TRIGGER exception_closes AFTER INSERT ON exception_done BEGIN
    DELETE FROM exception_open WHERE id = new.exception
    AND (store, at) IN (SELECT store, at FROM exception WHERE id = new.exception);
END;

-- Which requests were carried out, and where each led. Local: written in the transaction of the deed itself, so the
-- same request again does nothing, whatever happened in between.
CREATE TABLE request_done (
    request TEXT    NOT NULL PRIMARY KEY,
    serial  INTEGER NOT NULL,
    answer  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX request_done_serial ON request_done (serial);

-- A delivery while it is being scanned. Local: it becomes movements when it is booked.
CREATE TABLE delivery_line (
    sku      INTEGER NOT NULL PRIMARY KEY,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    touched  INTEGER NOT NULL
) STRICT;
