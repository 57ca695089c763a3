-- What a simulated card terminal did. Its own memory, apart from the checkout's.
CREATE TABLE charge (
    no           INTEGER NOT NULL PRIMARY KEY,
    intent       TEXT    NOT NULL UNIQUE,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency     TEXT    NOT NULL,
    outcome      TEXT    NOT NULL CHECK (outcome IN ('approved', 'declined', 'forgotten', 'returned'))
) STRICT;
