-- What a store may know of a customer: number, hash of the card, discount.
-- HQ owns every row. Names and addresses never leave HQ.
CREATE TABLE customer (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    card            BLOB    NOT NULL CHECK (length(card) = 32),
    discount_points INTEGER NOT NULL CHECK (discount_points BETWEEN 0 AND 10000) -- hundredths of a percent
) STRICT;
CREATE UNIQUE INDEX customer_card ON customer (card);

INSERT INTO replicated (table_id, name, rule, stream) VALUES
    (9, 'customer', 'owner', 'chain');
