-- What a store may know of a customer: number, hash of the card, discount.
-- HQ owns every row. Names and addresses never leave HQ.
CREATE TABLE customer (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    card            BLOB    NOT NULL CHECK (length(card) = 32),
    discount_points INTEGER NOT NULL CHECK (discount_points BETWEEN 0 AND 10000) -- hundredths of a percent
) STRICT;
-- Not UNIQUE: HQ's import gives each card to one customer, and a replica that
-- applies two cards changing hands must not trip over the moment in between.
CREATE INDEX customer_card ON customer (card);

-- The receipts of a customer, newest first. It holds only receipts that name
-- one, so that a sale without a customer does not touch it.
CREATE INDEX receipt_customer ON receipt (customer, at) WHERE customer IS NOT NULL;

INSERT INTO replicated (table_id, name, rule, stream) VALUES
    (9, 'customer', 'owner', 'chain');
