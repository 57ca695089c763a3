-- The index of the catalogue. It holds nothing that the replica could not give
-- again: a file of another version is thrown away and made anew. So this file
-- is never changed by a further migration; its name in search_index.rs is.

-- One row per product, without its text. The row id is the product's rank and
-- its entry, so the best come first and a question ends after the 24th.
CREATE VIRTUAL TABLE word USING fts5 (
    words, content = '', contentless_delete = 1, prefix = '1 2 3',
    tokenize = "unicode61 remove_diacritics 2"
);

-- `rank` is small for what is wanted often.
CREATE TABLE entry (
    id      INTEGER NOT NULL PRIMARY KEY,
    product INTEGER NOT NULL UNIQUE,
    rank    INTEGER NOT NULL CHECK (rank BETWEEN 0 AND 4000000)
) STRICT;

-- How well a product sold: the logarithm of its pieces, of which each counts
-- twice as much as one sold two weeks earlier. So it never has to be aged.
CREATE TABLE sold (
    product INTEGER NOT NULL PRIMARY KEY,
    weight  REAL    NOT NULL
) STRICT;

-- Up to which receipt each device of the store was followed.
CREATE TABLE followed (
    device  INTEGER NOT NULL PRIMARY KEY,
    receipt INTEGER NOT NULL
) STRICT;

-- Of which replica this is, and the last change of it that is in it.
CREATE TABLE standing (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    replica TEXT    NOT NULL,
    change  INTEGER NOT NULL
) STRICT;
