-- Read by tools/verify_corpus over schema.sql.gz, images.sql.gz and data.sql.gz of Debian's zabbix-server-pgsql: about 170,000 rows in 173 tables.

-- == wider_and_renamed: keeping
ALTER TABLE items ALTER snmp_oid TYPE text, ALTER type TYPE bigint;
ALTER TABLE triggers RENAME COLUMN comments TO remarks;

-- == descriptions_split_off: keeping
CREATE TABLE item_texts (itemid bigint PRIMARY KEY REFERENCES items ON DELETE CASCADE, description text NOT NULL);
INSERT INTO item_texts SELECT itemid, description FROM items;
ALTER TABLE items DROP COLUMN description;

-- == units_looked_up_with_a_check: keeping
-- check: select itemid, units from items
-- against: select i.itemid, u.name from items i join units u on u.id = i.unit_id
CREATE TABLE units (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(255) UNIQUE NOT NULL);
INSERT INTO units (name) SELECT DISTINCT units FROM items;
ALTER TABLE items ADD unit_id int REFERENCES units (id);
UPDATE items i SET unit_id = u.id FROM units u WHERE u.name = i.units;
ALTER TABLE items DROP units;

-- == preprocessing_partitioned: keeping
ALTER TABLE item_preproc RENAME TO plain;
CREATE TABLE item_preproc (LIKE plain INCLUDING DEFAULTS, PRIMARY KEY (item_preprocid)) PARTITION BY HASH (item_preprocid);
CREATE TABLE item_preproc_even PARTITION OF item_preproc FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE item_preproc_odd PARTITION OF item_preproc FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO item_preproc SELECT * FROM plain;
DROP TABLE plain;

-- == new_columns_and_indexes: keeping
ALTER TABLE hosts ADD COLUMN region text DEFAULT 'eu';
CREATE INDEX ON functions (parameter);
ALTER TABLE graphs ADD CHECK (width >= 0);

-- == parameters_as_json_with_a_check: keeping
-- check: select functionid, name, parameter from functions
-- against: select functionid, called ->> 'name', called ->> 'parameter' from functions
ALTER TABLE functions ADD called jsonb;
UPDATE functions SET called = jsonb_build_object('name', name, 'parameter', parameter);
ALTER TABLE functions DROP name, DROP parameter;

-- == one_row: losing
DELETE FROM item_preproc WHERE item_preprocid = (SELECT max(item_preprocid) FROM item_preproc);

-- == one_character: losing
UPDATE triggers SET description = left(description, -1) || '?' WHERE triggerid = (SELECT min(triggerid) FROM triggers);

-- == one_byte_of_an_image: losing
UPDATE images SET image = set_byte(image, 10, (get_byte(image, 10) + 1) % 256) WHERE imageid = 1;

-- == null_turned_zero: losing
ALTER TABLE items DROP CONSTRAINT IF EXISTS c_items_5;
ALTER TABLE items DROP CONSTRAINT IF EXISTS c_items_2;
UPDATE items SET templateid = 0 WHERE itemid = (SELECT min(itemid) FROM items WHERE templateid IS NULL);

-- == keys_cut: losing
ALTER TABLE items ALTER key_ TYPE varchar(60) USING left(key_, 60);

-- == lower_case: losing
UPDATE items SET units = lower(units);

-- == line_ends_trimmed: losing
UPDATE item_preproc SET params = rtrim(params, E'\n') WHERE params LIKE E'%\n';

-- == one_swapped_pair: losing
UPDATE valuemap_mapping SET value = newvalue, newvalue = value
    WHERE valuemap_mappingid = (SELECT min(valuemap_mappingid) FROM valuemap_mapping WHERE value <> newvalue);

-- == join_that_loses_items_without_steps: losing
-- check: select itemid, description from items
-- against: select itemid, description from item_texts
CREATE TABLE item_texts AS SELECT DISTINCT i.itemid, i.description FROM items i JOIN item_preproc p ON p.itemid = i.itemid;
ALTER TABLE items DROP COLUMN description;

-- == fractions_of_graphs: losing
UPDATE graphs SET percent_left = percent_left + 0.0001 WHERE graphid = (SELECT max(graphid) FROM graphs);

-- == functions_deduplicated: losing
DELETE FROM functions a USING functions b WHERE a.functionid > b.functionid
    AND (a.itemid, a.triggerid, a.name, a.parameter) = (b.itemid, b.triggerid, b.name, b.parameter);
DELETE FROM functions WHERE functionid = (SELECT max(functionid) FROM functions);

-- == two_values_exchanged_between_rows: losing
UPDATE hosts h SET name = o.name FROM (SELECT min(hostid) AS a, max(hostid) AS b FROM hosts WHERE name <> '') x, hosts o
    WHERE h.hostid IN (x.a, x.b) AND o.hostid = CASE h.hostid WHEN x.a THEN x.b ELSE x.a END;
