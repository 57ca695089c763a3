-- What is in a food or a drink, per 100 g or 100 ml. HQ owns every row.
--
-- Energy is in kJ, all else in mg. NULL: not declared. A Nutri-Score letter and
-- a NOVA group are the source's; neither is computed here.
CREATE TABLE nutrition (
    product      INTEGER NOT NULL PRIMARY KEY CHECK (product > 0),
    is_drink     INTEGER NOT NULL CHECK (is_drink IN (0, 1)),
    nutri_score  TEXT    CHECK (nutri_score IN ('A', 'B', 'C', 'D', 'E')),
    nova_group   INTEGER CHECK (nova_group BETWEEN 1 AND 4),
    energy_kj    INTEGER CHECK (energy_kj BETWEEN 0 AND 10000),
    fat_mg       INTEGER CHECK (fat_mg BETWEEN 0 AND 100000),
    saturates_mg INTEGER CHECK (saturates_mg BETWEEN 0 AND 100000),
    sugars_mg    INTEGER CHECK (sugars_mg BETWEEN 0 AND 100000),
    salt_mg      INTEGER CHECK (salt_mg BETWEEN 0 AND 100000),
    allergens    TEXT,   -- names with commas between
    source       TEXT    -- who says so: shown beside the figures
) STRICT;

INSERT INTO replicated (table_id, name, rule, stream) VALUES
    (8, 'nutrition', 'owner', 'chain');
