-- Migrations over the sample shop and the verdict that verification must give each; read by test_verify_migrations.py.
-- Form: `== name: verdict overall [table: its verdict]`; tables that are not named are preserved.
-- `check` and `against` are the checks that the author of the migration passes.

-- == guide_with_check: preserved
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_without_check: preserved
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == new_column: preserved
ALTER TABLE users ADD COLUMN phone text DEFAULT 'none';

-- == indexes_and_constraints: preserved
CREATE INDEX ON users (zip);
ALTER TABLE orders ADD CHECK (id > 0);

-- == rows_added: preserved
INSERT INTO products (sku, name, price) VALUES ('NEW-0001', 'n', 1);

-- == wider_types: preserved
DROP VIEW order_totals;
ALTER TABLE order_items ALTER quantity TYPE bigint, ALTER unit_price TYPE numeric(14,4);

-- == text_to_varchar: preserved
ALTER TABLE users ALTER name TYPE varchar(200);

-- == enum_to_text: preserved
DROP VIEW order_totals;
DROP INDEX orders_open_idx;
ALTER TABLE orders ALTER status DROP DEFAULT, ALTER status TYPE text;

-- == jsonb_to_json: preserved
ALTER TABLE products ALTER attributes DROP DEFAULT, ALTER attributes TYPE json;

-- == table_copied_under_new_name: preserved
CREATE TABLE customers AS TABLE users;
ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey;
DROP TABLE users CASCADE;

-- == rows_archived: preserved
CREATE TABLE old_items (LIKE order_items);
WITH gone AS (DELETE FROM order_items WHERE order_id <= 500 RETURNING *) INSERT INTO old_items SELECT * FROM gone;

-- == partitioned: preserved
ALTER TABLE order_items RENAME TO plain;
CREATE TABLE order_items (LIKE plain INCLUDING DEFAULTS) PARTITION BY RANGE (order_id);
CREATE TABLE items_1 PARTITION OF order_items FOR VALUES FROM (0) TO (5000);
CREATE TABLE items_2 PARTITION OF order_items DEFAULT;
INSERT INTO order_items SELECT * FROM plain;
DROP TABLE plain CASCADE;

-- == name_split_with_check: preserved
-- check: select id, name from users
-- against: select id, first || ' ' || rest from users
ALTER TABLE users DISABLE TRIGGER users_touch;
ALTER TABLE users ADD first text, ADD rest text;
UPDATE users SET first = split_part(name, ' ', 1), rest = substr(name, length(split_part(name, ' ', 1)) + 2);
ALTER TABLE users DROP name;

-- == cents_with_check: preserved
-- check: select order_id, line, unit_price from order_items
-- against: select order_id, line, (cents / 100.0)::numeric(10,2) from order_items
DROP VIEW order_totals;
ALTER TABLE order_items ADD cents int;
UPDATE order_items SET cents = unit_price * 100;
ALTER TABLE order_items DROP unit_price;

-- == column_found_under_another_name: unproven [users: unproven]
DROP INDEX users_city_idx;
ALTER TABLE users DISABLE TRIGGER users_touch;
ALTER TABLE users ADD town text;
UPDATE users SET town = city;
ALTER TABLE users DROP city;

-- == name_split_without_check: unproven [users: unproven]
ALTER TABLE users DISABLE TRIGGER users_touch;
ALTER TABLE users ADD first text;
UPDATE users SET first = split_part(name, ' ', 1);
ALTER TABLE users DROP name;

-- == drop_column: lost [users: lost]
ALTER TABLE users DROP zip;

-- == drop_table: lost [order_items: lost]
DROP TABLE order_items CASCADE;

-- == truncate: lost [order_items: lost]
TRUNCATE order_items;

-- == one_row_deleted: lost [order_items: lost]
DELETE FROM order_items WHERE order_id = 777 AND line = 1;

-- == one_character: lost [users: lost]
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users SET name = overlay(name placing 'x' from 2 for 1) WHERE id = 4711;

-- == null_turned_empty: lost [users: lost]
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users SET zip = '' WHERE zip IS NULL AND id = 20;

-- == timestamp_truncated: lost [orders: lost]
DROP VIEW order_totals;
ALTER TABLE orders ALTER ordered_at TYPE timestamptz(0);

-- == rounded: lost [order_items: lost]
DROP VIEW order_totals;
ALTER TABLE order_items ALTER unit_price TYPE numeric(10,1);

-- == cut: lost [users: lost]
ALTER TABLE users ALTER name TYPE varchar(12) USING left(name, 12);

-- == leading_zeros: unproven [users: unproven]
ALTER TABLE users ALTER zip TYPE int USING zip::int;

-- == swapped_by_rename: lost [users: lost]
ALTER TABLE users RENAME city TO t;
ALTER TABLE users RENAME state TO city;
ALTER TABLE users RENAME t TO state;

-- == values_exchanged_between_rows: lost [users: lost]
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users u SET city = o.city FROM users o WHERE (u.id, o.id) IN ((1, 2), (2, 1));

-- == enum_value_merged: lost [orders: lost]
UPDATE orders SET status = 'paid' WHERE status = 'pending';

-- == json_key_lost: lost [products: lost]
UPDATE products SET attributes = attributes - 'tags' WHERE id = 100;

-- == guide_lost_one: lost [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
DELETE FROM user_addresses WHERE user_id = 4711;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_swapped: lost [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, state, city, zip FROM users WHERE
  street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_swapped_without_check: unproven [users: unproven]
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, state, city, zip FROM users WHERE
  street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_null_to_empty: lost [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, coalesce(state, ''), zip FROM
  users WHERE street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_doubled: lost [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
INSERT INTO user_addresses (user_id, street) SELECT user_id, street FROM user_addresses WHERE user_id = 1;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == guide_wrong_join: lost [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT DISTINCT u.id, street, city, state, zip FROM
  users u JOIN orders o ON o.user_id = u.id WHERE o.status <> 'pending' AND street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == users_without_address_lost: unproven [users: unproven]
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
CREATE TABLE people AS SELECT u.id, email, name, created_at, updated_at FROM users u JOIN user_addresses a ON a.user_id
  = u.id;
DROP TABLE users CASCADE;

-- == check_reads_only_in_where: preserved
-- check: select id from users where street is not null
-- against: select user_id from user_addresses
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == check_leaves_some_out: unproven [users: unproven]
-- check: select id, street from users where id <= 100 and street is not null
-- against: select user_id, trim(street) from user_addresses where user_id <= 100
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street || ' ', city, state, zip FROM users
  WHERE street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == check_without_key: unproven [users: unproven]
-- check: select city, zip from users where zip is not null
-- against: select city, zip from user_addresses where zip is not null
CREATE TABLE user_addresses ( id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES
  users (id), street text, city text, state text, zip text);
INSERT INTO user_addresses (user_id, street, city, state, zip) SELECT id, street, city, state, zip FROM users WHERE
  street IS NOT NULL;
UPDATE user_addresses SET street = o.street FROM user_addresses o WHERE o.id = 11001 - user_addresses.id;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;

-- == backfill_touches_updated_at: unproven [users: unproven]
ALTER TABLE users ADD country text;
UPDATE users SET country = CASE WHEN state IS NOT NULL THEN 'US' END;

-- == touched_and_one_character_lost: lost [users: lost]
UPDATE users SET name = overlay(name placing 'x' from 2 for 1) WHERE id = 4711;

-- == sign_flipped: lost [order_items: lost]
DROP VIEW order_totals;
ALTER TABLE order_items ALTER unit_price TYPE numeric(10, 2)
  USING CASE WHEN order_id = 5 THEN -unit_price ELSE unit_price END;
