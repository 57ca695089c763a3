-- In which order products changed on this replica, for whoever keeps an index
-- of them beside it. Local: another replica has another order.
CREATE TABLE catalogue_change (
    product INTEGER NOT NULL PRIMARY KEY,
    change  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX catalogue_change_order ON catalogue_change (change);
CREATE TRIGGER product_is_new AFTER INSERT ON product BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (new.id, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER product_is_changed AFTER UPDATE ON product BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (new.id, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER product_is_gone AFTER DELETE ON product BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (old.id, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER variant_is_new AFTER INSERT ON variant BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (new.product, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER variant_is_changed AFTER UPDATE ON variant BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (new.product, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
    -- A variant that moved away changes the product that it left, too.
    INSERT INTO catalogue_change (product, change)
    SELECT old.product, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change)
    WHERE old.product <> new.product
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
CREATE TRIGGER variant_is_gone AFTER DELETE ON variant BEGIN
    INSERT INTO catalogue_change (product, change)
    VALUES (old.product, 1 + (SELECT coalesce(max(change), 0) FROM catalogue_change))
    ON CONFLICT (product) DO UPDATE SET change = excluded.change;
END;
