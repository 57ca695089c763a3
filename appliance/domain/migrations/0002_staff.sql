-- Who works in which store. HQ owns every row, and a store hears only its own.
--
-- The key begins with the store: who works in two stores has two rows, and no
-- row ever moves. The badge is a hash, the PIN an argon2id string. Rights 0
-- means that the person has left; the row stays, for the names on receipts.
CREATE TABLE employee (
    store  INTEGER NOT NULL CHECK (store > 0),
    id     INTEGER NOT NULL CHECK (id > 0),
    name   TEXT    NOT NULL,
    badge  BLOB    NOT NULL CHECK (length(badge) = 32),
    pin    TEXT    NOT NULL,
    rights INTEGER NOT NULL CHECK (rights >= 0),
    PRIMARY KEY (store, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX employee_badge ON employee (store, badge);

INSERT INTO replicated (table_id, name, rule, stream) VALUES
    (7, 'employee', 'owner', 'by:store');
