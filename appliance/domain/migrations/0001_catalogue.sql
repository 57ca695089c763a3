-- What the chain sells, for how much, and taxed how. HQ owns every row.

-- A branch of the chain. Prices on its shelves contain the tax or do not.
CREATE TABLE store (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 8388607),
    name         TEXT    NOT NULL,
    currency     TEXT    NOT NULL,
    tax_included INTEGER NOT NULL CHECK (tax_included IN (0, 1)),
    -- A figure of this store that is older than this is shown as stale.
    stale_after_ms INTEGER NOT NULL DEFAULT 20000 CHECK (stale_after_ms BETWEEN 1000 AND 86400000)
) STRICT;

CREATE TABLE product (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    name       TEXT    NOT NULL,
    department TEXT,
    note       TEXT -- one line of material and care
) STRICT;
CREATE INDEX product_department ON product (department, name);

-- A size and colour of a product. `favourite` is its place among the keys of
-- the checkout, or NULL: a key that moves by itself is pressed wrongly.
CREATE TABLE variant (
    sku       INTEGER NOT NULL PRIMARY KEY CHECK (sku > 0),
    product   INTEGER NOT NULL,
    size      TEXT,
    colour    TEXT,
    tax_class INTEGER NOT NULL CHECK (tax_class > 0),
    favourite INTEGER
) STRICT;
CREATE INDEX variant_of_product ON variant (product);
CREATE INDEX variant_favourite ON variant (favourite) WHERE favourite IS NOT NULL;

CREATE TABLE gtin (
    gtin INTEGER NOT NULL PRIMARY KEY CHECK (gtin > 0),
    sku  INTEGER NOT NULL
) STRICT;

-- Store 0 is the whole chain. A price of a store goes before the chain's, and
-- among those the newest that has begun. A chain price has a currency of its
-- own: 10.00 must not become 10 EUR in one store and 10 GBP in the next.
CREATE TABLE price (
    sku        INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    store      INTEGER NOT NULL CHECK (store >= 0),
    valid_from INTEGER NOT NULL,
    unit_minor INTEGER NOT NULL CHECK (unit_minor BETWEEN 0 AND 1000000000000),
    PRIMARY KEY (sku, currency, store, valid_from)
) STRICT, WITHOUT ROWID;

-- Rates are parts per million: 8.875 % is 88750.
CREATE TABLE tax_rate (
    store      INTEGER NOT NULL CHECK (store > 0),
    class      INTEGER NOT NULL CHECK (class > 0),
    valid_from INTEGER NOT NULL,
    rate_ppm   INTEGER NOT NULL CHECK (rate_ppm BETWEEN 0 AND 1000000),
    PRIMARY KEY (store, class, valid_from)
) STRICT, WITHOUT ROWID;

INSERT INTO replicated (table_id, name, rule, stream) VALUES
    (1, 'store', 'owner', 'chain'),
    (2, 'product', 'owner', 'chain'),
    (3, 'variant', 'owner', 'chain'),
    (4, 'gtin', 'owner', 'chain'),
    (5, 'price', 'owner', 'chain'),
    (6, 'tax_rate', 'owner', 'chain');
