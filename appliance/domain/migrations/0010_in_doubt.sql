-- Which receipt a payment intent led to. Derived: a device that would write a
-- second receipt for one intent is refused here, in the receipt's own transaction.
CREATE TABLE receipt_of_intent (
    intent  INTEGER NOT NULL,
    device  INTEGER NOT NULL,
    receipt INTEGER NOT NULL,
    PRIMARY KEY (intent, device)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tender_spends_its_intent AFTER INSERT ON tender WHEN new.intent IS NOT NULL BEGIN
    INSERT INTO receipt_of_intent (intent, device, receipt)
    VALUES (new.intent, new.receipt >> 40, new.receipt);
END;

-- What a person answered when power had gone in the middle of a sale. It stands
-- beside an exception, which says where, when and how much, as `exception_done` does.
CREATE TABLE doubt_answer (
    exception INTEGER NOT NULL PRIMARY KEY CHECK (exception >> 40 > 0),
    answer    INTEGER NOT NULL, -- 1 printed, 2 void, 3 paid, 4 not paid, 5 given back
    cashier   INTEGER NOT NULL,
    receipt   INTEGER, -- the receipt that was in doubt, or NULL
    void      INTEGER, -- the receipt that reverses it, or NULL
    intent    INTEGER  -- the payment that was in doubt, or NULL
) STRICT;
CREATE INDEX doubt_answer_receipt ON doubt_answer (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX doubt_answer_intent ON doubt_answer (intent) WHERE intent IS NOT NULL;

INSERT INTO replicated (table_id, name, rule, stream, writers) VALUES
    (20, 'doubt_answer', 'fact', 'store', 'pos back-office');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (20, 'exception', 'id'), (20, 'receipt', 'id'), (20, 'void', 'id');
