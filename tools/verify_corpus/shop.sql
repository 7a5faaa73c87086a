-- Read by tools/verify_corpus over the sample shop: what a hostile reviewer tries.

-- == address_as_one_document_with_a_check: keeping
-- check: select id, street, city, state, zip from users
-- against: select id, address ->> 'street', address ->> 'city', address ->> 'state', address ->> 'zip' from users
ALTER TABLE users ADD address jsonb;
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users SET address = jsonb_build_object('street', street, 'city', city, 'state', state, 'zip', zip);
ALTER TABLE users ENABLE TRIGGER users_touch;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;

-- == orders_split_into_open_and_done: keeping
DROP VIEW order_totals;
CREATE TABLE orders_open AS SELECT * FROM orders WHERE status IN ('pending', 'paid', 'shipped');
CREATE TABLE orders_done AS SELECT * FROM orders WHERE status NOT IN ('pending', 'paid', 'shipped');
DROP TABLE orders CASCADE;
CREATE VIEW orders AS SELECT * FROM orders_open UNION ALL SELECT * FROM orders_done;

-- == status_label_renamed: keeping
ALTER TYPE order_status RENAME VALUE 'pending' TO 'open';

-- == times_without_a_zone: keeping
DROP VIEW order_totals;
ALTER TABLE orders ALTER ordered_at TYPE timestamp USING ordered_at AT TIME ZONE 'UTC';

-- == logins_in_a_table_of_their_own: keeping
CREATE TABLE logins (user_id bigint PRIMARY KEY REFERENCES users (id), email text NOT NULL UNIQUE);
INSERT INTO logins SELECT id, email FROM users;
ALTER TABLE users DROP email;

-- == columns_in_another_order: keeping
CREATE TABLE better (unit_price numeric(10, 2), quantity int, product_id bigint, line int, order_id bigint, PRIMARY KEY (order_id, line));
INSERT INTO better SELECT unit_price, quantity, product_id, line, order_id FROM order_items;
DROP TABLE order_items CASCADE;
ALTER TABLE better RENAME TO order_items;

-- == uuid_as_the_new_key: keeping
-- check: select id, sku, name, description, price, attributes, created_at from products
-- against: select legacy_id, sku, name, description, price, attributes, created_at from products
ALTER TABLE order_items DROP CONSTRAINT order_items_product_id_fkey;
ALTER TABLE products DROP CONSTRAINT products_pkey;
ALTER TABLE products RENAME id TO legacy_id;
ALTER TABLE products ADD id uuid PRIMARY KEY DEFAULT gen_random_uuid();

-- == a_finer_scale: keeping
DROP VIEW order_totals;
ALTER TABLE order_items ALTER unit_price TYPE numeric(14, 4);

-- == cents_in_a_column_of_their_own_with_a_check: keeping
-- check: select id, price from products
-- against: select id, (price_cents / 100.0)::numeric(10, 2) from products
ALTER TABLE products ADD price_cents bigint;
UPDATE products SET price_cents = price * 100;
ALTER TABLE products DROP price;

-- == a_name_derived: keeping
ALTER TABLE users ADD initial text GENERATED ALWAYS AS (left(name, 1)) STORED;
ALTER TABLE products ADD tags text[] GENERATED ALWAYS AS (string_to_array(sku, '-')) STORED;

-- == lines_with_their_orders_in_one_table_with_checks: keeping
-- check: select id, user_id, status, note, ordered_at from orders
-- against: select distinct order_id, user_id, status, note, ordered_at from order_lines
-- check: select order_id, line, product_id, quantity, unit_price from order_items
-- against: select order_id, line, product_id, quantity, unit_price from order_lines
CREATE TABLE order_lines AS SELECT o.id AS order_id, user_id, status, note, ordered_at, line, product_id, quantity, unit_price
    FROM orders o JOIN order_items i ON i.order_id = o.id;
DROP TABLE order_items, orders CASCADE;

-- == spaces_at_the_end_trimmed: losing
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE products SET name = rtrim(name || ' ');
UPDATE users SET name = name || ' ' WHERE id = 77;

-- == case_of_one_login: losing
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users SET email = upper(left(email, 1)) || substr(email, 2) WHERE id = 5000;

-- == decomposed_letters: losing
UPDATE products SET name = normalize(name, NFD) WHERE id = (SELECT min(id) FROM products WHERE name <> normalize(name, NFD));

-- == summer_time: losing
DROP VIEW order_totals;
ALTER TABLE orders ALTER ordered_at TYPE timestamp USING ordered_at AT TIME ZONE 'Europe/London';
ALTER TABLE orders ALTER ordered_at TYPE timestamptz USING ordered_at AT TIME ZONE 'UTC';

-- == labels_exchanged: losing
ALTER TYPE order_status RENAME VALUE 'paid' TO 'x';
ALTER TYPE order_status RENAME VALUE 'shipped' TO 'paid';
ALTER TYPE order_status RENAME VALUE 'x' TO 'shipped';

-- == statuses_exchanged: losing
UPDATE orders SET status = CASE status WHEN 'paid' THEN 'shipped' ELSE 'paid' END::order_status WHERE status IN ('paid', 'shipped');

-- == seconds_only: losing
UPDATE orders SET ordered_at = date_trunc('second', ordered_at) WHERE id % 100 = 1;

-- == split_off_by_one: losing
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses (user_id bigint PRIMARY KEY REFERENCES users, street text, city text, state text, zip text);
INSERT INTO user_addresses SELECT id, street, city, state, zip FROM users WHERE street IS NOT NULL ORDER BY id OFFSET 1;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;

-- == city_and_state_exchanged_on_the_way: losing
-- check: select id, street, city, state, zip from users where street is not null
-- against: select user_id, street, city, state, zip from user_addresses
CREATE TABLE user_addresses (user_id bigint PRIMARY KEY REFERENCES users, street text, city text, state text, zip text);
INSERT INTO user_addresses SELECT id, street, state, city, zip FROM users WHERE street IS NOT NULL;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;

-- == items_joined_with_the_next_product: losing
-- check: select order_id, line, product_id, quantity, unit_price from order_items
-- against: select order_id, line, p.id, quantity, unit_price from lines join products p using (sku)
CREATE TABLE lines AS SELECT order_id, line, sku, quantity, unit_price FROM order_items i JOIN products p ON p.id = i.product_id + 1;
DROP TABLE order_items CASCADE;

-- == users_without_a_zip_lost_in_a_join: losing
CREATE TABLE zips AS SELECT DISTINCT zip FROM users WHERE zip IS NOT NULL;
CREATE TABLE people AS SELECT u.* FROM users u JOIN zips USING (zip);
DROP TABLE users CASCADE;
ALTER TABLE people RENAME TO users;

-- == same_product_twice_in_an_order_merged: losing
INSERT INTO order_items SELECT 1, max(line) + 1, min(product_id), 1, 1 FROM order_items WHERE order_id = 1;
DELETE FROM order_items WHERE (order_id, line) = (5000, 1);

-- == lines_from_zero: losing
UPDATE order_items SET line = line - 1 WHERE order_id = 2;

-- == products_renumbered: losing
ALTER TABLE order_items DROP CONSTRAINT order_items_product_id_fkey;
UPDATE products SET id = id + 1000;
UPDATE order_items SET product_id = product_id + 1000;

-- == no_note_turned_empty: losing
ALTER TABLE orders ALTER note SET DEFAULT '';
UPDATE orders SET note = coalesce(note, '');

-- == a_tag_moved_in_a_document: losing
UPDATE products SET attributes = jsonb_set(attributes, '{tags}', jsonb_build_array(attributes #> '{tags,1}', attributes #> '{tags,0}')) WHERE id = 8;

-- == old_orders_packed_away_with_a_check: keeping
-- check: select id, user_id, status, note, ordered_at from orders
-- against: select id, user_id, status, note, ordered_at from orders union all select (packed).* from attic
-- check: select order_id, line, product_id, quantity, unit_price from order_items
-- against: select order_id, line, product_id, quantity, unit_price from order_items union all select i.* from attic, unnest(items) i
-- weak: select status, count(*) from orders group by 1
-- against: select status, count(*) from (select status from orders union all select (packed).status from attic) s group by 1
-- weak: select o.id, o.user_id, o.status, o.note, o.ordered_at from orders o join users u on u.id = o.user_id where u.zip is null
-- against: select o.id, o.user_id, o.status, o.note, o.ordered_at from (select id, user_id, status, note, ordered_at from orders union all select (packed).* from attic) o join users u on u.id = o.user_id where u.zip is null
CREATE TYPE packed_order AS (id bigint, user_id bigint, status order_status, note text, ordered_at timestamptz);
CREATE TYPE packed_item AS (order_id bigint, line int, product_id bigint, quantity int, unit_price numeric(10, 2));
CREATE TABLE attic AS SELECT ROW(o.id, user_id, status, note, ordered_at)::packed_order AS packed,
    (SELECT array_agg(ROW(i.order_id, line, product_id, quantity, unit_price)::packed_item) FROM order_items i WHERE i.order_id = o.id) AS items
    FROM orders o WHERE ordered_at < '2025-03-01';
DELETE FROM orders WHERE ordered_at < '2025-03-01';

-- == split_and_merged_back: keeping
CREATE TABLE addresses AS SELECT id AS user_id, street, city, state, zip FROM users WHERE street IS NOT NULL;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;
ALTER TABLE users ADD street text, ADD city text, ADD state text, ADD zip text;
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users u SET street = a.street, city = a.city, state = a.state, zip = a.zip FROM addresses a WHERE a.user_id = u.id;
DROP TABLE addresses;

-- == addresses_as_facts_with_a_check: keeping
-- check: select id, street, city, state, zip from users
-- against: select u.id, max(value) filter (where what = 'street'), max(value) filter (where what = 'city'), max(value) filter (where what = 'state'), max(value) filter (where what = 'zip') from users u left join facts f on f.user_id = u.id group by 1
-- weak: select value from users u, lateral (values (street), (city), (state), (zip)) v (value) where value is not null
-- against: select value from facts
CREATE TABLE facts AS SELECT id AS user_id, what, value FROM users, LATERAL (VALUES ('street', street), ('city', city), ('state', state), ('zip', zip)) f (what, value)
    WHERE value IS NOT NULL;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;

-- == copied_in_batches: keeping
CREATE TABLE copied (LIKE orders INCLUDING ALL);
DO $$ BEGIN
    FOR i IN 0..14 LOOP INSERT INTO copied SELECT * FROM orders ORDER BY id LIMIT 1000 OFFSET i * 1000; END LOOP;
END $$;
DROP TABLE orders CASCADE;
ALTER TABLE copied RENAME TO orders;

-- == statuses_by_number_with_a_check: keeping
-- check: select id, status::text as status from orders
-- against: select o.id, s.name from orders o join statuses s on s.id = o.status_id
DROP VIEW order_totals;
CREATE TABLE statuses (id int PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO statuses SELECT ordinality, label::text FROM unnest(enum_range(NULL::order_status)) WITH ORDINALITY u (label, ordinality);
ALTER TABLE orders ADD status_id int REFERENCES statuses;
UPDATE orders o SET status_id = s.id FROM statuses s WHERE s.name = o.status::text;
ALTER TABLE orders DROP status;

-- == users_moved_to_another_schema_by_copy: keeping
CREATE SCHEMA crm;
CREATE TABLE crm.users AS TABLE users;
DROP TABLE users CASCADE;

-- == prices_in_cents_under_the_same_name_with_a_check: keeping
-- check: select id, price from products
-- against: select id, (price / 100.0)::numeric(10, 2) from products
-- weak: select id, price::int from products
-- against: select id, (price / 100.0)::int from products
ALTER TABLE products ALTER price TYPE bigint USING price * 100;

-- == cancelled_orders_in_a_table_of_their_own: keeping
CREATE TABLE audit (LIKE orders);
INSERT INTO audit SELECT * FROM orders WHERE status = 'cancelled';
ALTER TABLE order_items DROP CONSTRAINT order_items_order_id_fkey;
DELETE FROM orders WHERE status = 'cancelled';

-- == prices_in_whole_numbers_of_cents_but_one: losing
ALTER TABLE products ALTER price TYPE bigint USING price * 100 + (id = 99)::int;

-- == batches_that_miss_their_border: losing
CREATE TABLE copied (LIKE orders INCLUDING ALL);
INSERT INTO copied SELECT * FROM orders WHERE id < 7500;
INSERT INTO copied SELECT * FROM orders WHERE id > 7500;
DROP TABLE orders CASCADE;
ALTER TABLE copied RENAME TO orders;

-- == batches_in_a_moving_window: losing
CREATE TABLE archived (LIKE orders INCLUDING ALL);
DO $$ BEGIN
    FOR i IN 0..4 LOOP
        INSERT INTO archived SELECT * FROM orders WHERE status = 'cancelled' ORDER BY id LIMIT 500 OFFSET i * 500;
        DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE status = 'cancelled' ORDER BY id LIMIT 500);
    END LOOP;
END $$;

-- == emails_of_two_users_exchanged: losing
ALTER TABLE users DISABLE TRIGGER users_touch;
UPDATE users SET email = 'x' WHERE id = 11;
UPDATE users SET email = 'user11@example.net' WHERE id = 12;
UPDATE users SET email = 'user12@example.com' WHERE id = 11;

-- == uuids_given_to_the_wrong_products: losing
-- check: select i.order_id, i.line, i.product_id, i.quantity, i.unit_price from order_items i
-- against: select i.order_id, i.line, p.legacy_id, i.quantity, i.unit_price from order_items i join products p on p.id = i.product
-- weak: select order_id, line, quantity, unit_price from order_items
-- against: select order_id, line, quantity, unit_price from order_items
-- weak: select i.product_id, count(*) from order_items i where i.product_id > 10 group by 1
-- against: select p.legacy_id, count(*) from order_items i join products p on p.id = i.product where p.legacy_id > 10 group by 1
ALTER TABLE order_items DROP CONSTRAINT order_items_product_id_fkey;
ALTER TABLE products RENAME id TO legacy_id;
ALTER TABLE products ADD id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE;
ALTER TABLE order_items ADD product uuid;
UPDATE order_items i SET product = p.id FROM products p WHERE p.legacy_id = CASE i.product_id WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE i.product_id END;
ALTER TABLE order_items DROP product_id;

-- == facts_without_zips_of_the_nameless: losing
-- check: select id, street, city, state, zip from users
-- against: select u.id, max(value) filter (where what = 'street'), max(value) filter (where what = 'city'), max(value) filter (where what = 'state'), max(value) filter (where what = 'zip') from users u left join facts f on f.user_id = u.id group by 1
-- weak: select id, street, city, state, zip from users where state is not null
-- against: select u.id, max(value) filter (where what = 'street'), max(value) filter (where what = 'city'), max(value) filter (where what = 'state'), max(value) filter (where what = 'zip') from users u join facts f on f.user_id = u.id group by 1 having max(value) filter (where what = 'state') is not null
CREATE TABLE facts AS SELECT id AS user_id, what, value FROM users, LATERAL (VALUES ('street', street), ('city', city), ('state', state), ('zip', zip)) f (what, value)
    WHERE state IS NOT NULL AND value IS NOT NULL;
ALTER TABLE users DROP street, DROP city, DROP state, DROP zip;

-- == notes_glued_and_cut_again: losing
CREATE TABLE glued AS SELECT user_id, string_agg(note, ';' ORDER BY id) AS notes FROM orders WHERE note IS NOT NULL GROUP BY 1;
UPDATE orders o SET note = split_part(g.notes, ';', 1) FROM glued g WHERE g.user_id = o.user_id AND o.note IS NOT NULL;

-- == a_user_and_all_of_hers: losing
ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey;
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
DELETE FROM users WHERE id = 4242;
INSERT INTO users (id, email, name) VALUES (4242, 'user4242@example.org', 'again');
