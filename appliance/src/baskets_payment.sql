-- What a card terminal is asked, written down before it is asked: whoever starts
-- again after a power cut asks about this intent, and never for a second one.
--
--   asked -> captured | refused | in_doubt     a terminal or a person answers
--   captured -> returning -> returned          the money goes back to the card
CREATE TABLE payment_intent (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    basket       INTEGER NOT NULL REFERENCES basket (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency     TEXT    NOT NULL,
    total_minor  INTEGER NOT NULL, -- what the customer was shown
    basket_hash  BLOB    NOT NULL CHECK (length(basket_hash) = 32),
    at           INTEGER NOT NULL,
    cashier      INTEGER NOT NULL,
    request      TEXT    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'asked'
        CHECK (state IN ('asked', 'in_doubt', 'captured', 'refused', 'returning', 'returned')),
    reference    TEXT, -- the terminal's own
    said         TEXT  -- why the last question has no good answer, or NULL
) STRICT;
CREATE INDEX payment_intent_basket ON payment_intent (basket);

-- A terminal has one question at a time.
CREATE UNIQUE INDEX payment_intent_open ON payment_intent ((state = 'refused'))
WHERE state IN ('asked', 'in_doubt', 'returning');

-- One intent pays once.
ALTER TABLE basket_tender ADD COLUMN intent INTEGER;
CREATE UNIQUE INDEX basket_tender_intent ON basket_tender (intent) WHERE intent IS NOT NULL;

-- Whether a person has seen the receipt, and what became of one that nobody saw:
-- "void" is wanted, "voided" is done. There is no next basket before that.
ALTER TABLE basket ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE basket ADD COLUMN verdict TEXT CHECK (verdict IN ('void', 'voided'));
ALTER TABLE basket ADD COLUMN verdict_by INTEGER;
ALTER TABLE basket ADD COLUMN void_number TEXT;
UPDATE basket SET shown = 1 WHERE state = 'done';
CREATE UNIQUE INDEX basket_in_doubt ON basket (shown) WHERE state = 'done' AND shown = 0;
CREATE TRIGGER basket_waits_for_the_last BEFORE INSERT ON basket
WHEN EXISTS (SELECT 1 FROM basket WHERE state = 'done' AND shown = 0)
BEGIN
    SELECT raise(ABORT, 'nobody has seen the last receipt');
END;
