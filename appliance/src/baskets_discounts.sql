-- Whose basket it is, and what the cashier takes off the whole of it: a part or
-- an amount, never both.
ALTER TABLE basket ADD COLUMN customer INTEGER;
ALTER TABLE basket ADD COLUMN discount_points INTEGER NOT NULL DEFAULT 0;
ALTER TABLE basket ADD COLUMN discount_minor INTEGER NOT NULL DEFAULT 0;
