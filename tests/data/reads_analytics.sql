SELECT count(*) FROM users
SELECT count(*), count(zip), count(DISTINCT city) FROM users
SELECT city, count(*) AS n FROM users GROUP BY city ORDER BY n DESC NULLS LAST LIMIT 5
SELECT coalesce(state, 'n/a') AS state, round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS pct FROM users GROUP BY 1 ORDER BY 2 DESC
SELECT * FROM users WHERE email ILIKE 'user12%' AND created_at >= '2024-01-01' AND created_at < '2024-02-01'
SELECT id, name FROM users WHERE name LIKE '%O''Brien%' ORDER BY id LIMIT 10 OFFSET 20
SELECT street, city, count(*) FROM users GROUP BY street, city HAVING count(*) > 1 ORDER BY 3 DESC
SELECT u.id, u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NULL LIMIT 5
SELECT u.* FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id) ORDER BY u.id LIMIT 3
SELECT u.id FROM users u WHERE u.id IN (SELECT user_id FROM orders WHERE status = 'cancelled') LIMIT 3
SELECT o.status, count(*), sum(i.quantity * i.unit_price) AS revenue FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.status ORDER BY revenue DESC
SELECT date_trunc('month', ordered_at) AS month, sum(quantity * unit_price)::numeric(12, 2) FROM orders JOIN order_items ON order_id = orders.id GROUP BY 1 ORDER BY 1
SELECT month, revenue, revenue - lag(revenue) OVER (ORDER BY month) AS change FROM (SELECT date_trunc('month', ordered_at) AS month, sum(quantity * unit_price) AS revenue FROM orders JOIN order_items ON order_id = id GROUP BY 1) m
SELECT p.name, rank() OVER (ORDER BY sum(i.quantity) DESC) FROM products p JOIN order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY 2 LIMIT 10
SELECT DISTINCT ON (user_id) user_id, id, ordered_at FROM orders ORDER BY user_id, ordered_at DESC LIMIT 10
SELECT user_id, array_agg(id ORDER BY ordered_at DESC) FILTER (WHERE status <> 'cancelled') FROM orders GROUP BY user_id HAVING count(*) > 2 LIMIT 5
SELECT percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY unit_price) FROM order_items
SELECT mode() WITHIN GROUP (ORDER BY status) FROM orders
SELECT stddev_samp(price), variance(price), corr(price, (attributes ->> 'weight_g')::float) FROM products
SELECT regr_slope(price, (attributes ->> 'weight_g')::numeric) FROM products
SELECT width_bucket(price, 0, 200, 10) AS b, count(*), min(price), max(price) FROM products GROUP BY b ORDER BY b
SELECT generate_series(date '2025-01-01', date '2025-03-01', interval '1 week')::date AS week
SELECT d::date, count(o.id) FROM generate_series('2025-01-01'::timestamptz, '2025-01-31', '1 day') AS d LEFT JOIN orders o ON o.ordered_at >= d AND o.ordered_at < d + interval '1 day' GROUP BY d ORDER BY d
SELECT extract(dow FROM ordered_at) AS dow, extract(hour FROM ordered_at) AS hour, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2
SELECT to_char(ordered_at, 'IYYY-"W"IW') AS week, count(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT status, count(*) FROM orders GROUP BY ROLLUP (status)
SELECT status, extract(year FROM ordered_at) AS y, count(*), grouping(status) FROM orders GROUP BY CUBE (status, 2)
SELECT status, user_id % 3, count(*) FROM orders GROUP BY GROUPING SETS ((status), (user_id % 3), ())
SELECT attributes ->> 'weight_g' AS weight, attributes -> 'tags' -> 0 AS tag FROM products LIMIT 3
SELECT id FROM products WHERE attributes @> '{"tags": ["t1"]}' AND attributes ? 'weight_g'
SELECT t.tag, count(*) FROM products, jsonb_array_elements_text(attributes -> 'tags') AS t(tag) GROUP BY 1
SELECT jsonb_object_agg(sku, price) FROM (SELECT sku, price FROM products LIMIT 5) p
SELECT jsonb_build_object('id', id, 'name', name, 'at', created_at) FROM users LIMIT 2
SELECT row_to_json(u) FROM (SELECT id, name FROM users LIMIT 2) u
SELECT json_agg(json_build_object('s', status, 'n', n)) FROM (SELECT status, count(*) AS n FROM orders GROUP BY 1) s
SELECT jsonb_path_query(attributes, '$.tags[*] ? (@ starts with "t")') FROM products LIMIT 5
SELECT attributes #>> '{tags,0}', attributes #> '{tags}' FROM products LIMIT 2
SELECT jsonb_pretty(attributes), jsonb_typeof(attributes -> 'tags'), attributes - 'tags' FROM products LIMIT 1
SELECT jsonb_set(attributes, '{weight_g}', '1') || '{"x": null}' FROM products LIMIT 1
SELECT x.key, x.value FROM products, jsonb_each(attributes) AS x LIMIT 4
SELECT * FROM jsonb_to_record('{"a": 1, "b": "x"}') AS r(a int, b text)
SELECT name, length(name), octet_length(name), upper(name), initcap(name), reverse(name) FROM users LIMIT 2
SELECT split_part(email, '@', 2) AS domain, count(*) FROM users GROUP BY domain ORDER BY count DESC
SELECT regexp_replace(zip, '^0+', ''), substring(email FROM '@(.*)$'), email ~* '\.ORG$' FROM users LIMIT 3
SELECT regexp_split_to_table('a,b,c', ','), string_to_array('a-b', '-'), array_to_string(ARRAY[1, 2], '+')
SELECT string_agg(DISTINCT city, ', ' ORDER BY city) FROM users WHERE city IS NOT NULL
SELECT concat_ws(', ', street, city, state, zip) AS address FROM users LIMIT 3
SELECT trim(BOTH ' ' FROM name), overlay(name PLACING 'XX' FROM 1 FOR 2), position('a' IN name), lpad(zip, 8, '*') FROM users LIMIT 2
SELECT format('%s <%s>', name, email), quote_literal(name), quote_ident('Odd name'), md5(email), encode(sha256(email::bytea), 'hex') FROM users LIMIT 1
SELECT ntile(4) OVER (ORDER BY price), percent_rank() OVER (ORDER BY price), cume_dist() OVER (ORDER BY price), price FROM products LIMIT 5
SELECT id, sum(price) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), avg(price) OVER w FROM products WINDOW w AS (PARTITION BY left(sku, 3) ORDER BY id) LIMIT 5
SELECT first_value(name) OVER (PARTITION BY left(sku, 3) ORDER BY price DESC), nth_value(name, 2) OVER (PARTITION BY left(sku, 3) ORDER BY price RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES) FROM products LIMIT 3
WITH recent AS (SELECT * FROM orders WHERE ordered_at > timestamptz '2025-03-01'), totals AS NOT MATERIALIZED (SELECT user_id, count(*) AS n FROM recent GROUP BY 1) SELECT n, count(*) FROM totals GROUP BY n ORDER BY n
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n), avg(n) FROM t
WITH RECURSIVE fib(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib WHERE b < 1000) SELECT a FROM fib
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a CROSS JOIN b
SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS v(n, word) WHERE n > 1
SELECT id FROM users WHERE id < 4 UNION SELECT id FROM orders WHERE id < 4 EXCEPT SELECT 2 INTERSECT SELECT 2 ORDER BY 1
(SELECT 'a' AS k, count(*) FROM users) UNION ALL (SELECT 'b', count(*) FROM orders) ORDER BY 1
SELECT CASE WHEN price < 10 THEN 'cheap' WHEN price BETWEEN 10 AND 100 THEN 'fair' ELSE 'dear' END AS class, count(*) FROM products GROUP BY 1
SELECT coalesce(note, '-'), nullif(status::text, 'paid'), greatest(1, 2), least('a', 'b') FROM orders LIMIT 2
SELECT id FROM orders WHERE (user_id, status) IN ((1, 'paid'), (2, 'pending')) OR row(id, user_id) < row(3, 0)
SELECT id FROM orders WHERE user_id = ANY (ARRAY[1, 2, 3]) AND status <> ALL ('{cancelled}'::order_status[])
SELECT ordered_at AT TIME ZONE 'Europe/Berlin', ordered_at::date, ordered_at::time, age(ordered_at), ordered_at + interval '1 month 2 days' FROM orders LIMIT 2
SELECT make_date(2026, 1, 2), make_interval(days => 3), to_timestamp(0), date_part('epoch', now()), date_bin('15 minutes', now(), timestamptz '2026-01-01')
SELECT (timestamp '2026-01-01', interval '1 day') OVERLAPS (timestamp '2026-01-01 12:00', interval '1 hour')
SELECT tstzrange(min(ordered_at), max(ordered_at), '[]') @> now() FROM orders
SELECT int4range(1, 5) * int4range(3, 9), upper(int4range(1, 5)), '[1,3)'::int4range && '[2,4)'::int4range, int4range(1, 3) -|- int4range(3, 5)
SELECT range_agg(int4range(id::int, id::int + 2)) FROM users WHERE id < 10
SELECT to_tsvector('english', name) @@ to_tsquery('english', 'book | lamp'), ts_rank(to_tsvector(name), plainto_tsquery('cup')) FROM products LIMIT 3
SELECT ts_headline('english', description, websearch_to_tsquery('recyclable')) FROM products WHERE description IS NOT NULL LIMIT 2
SELECT o.id, l.total FROM orders o CROSS JOIN LATERAL (SELECT sum(quantity * unit_price) AS total FROM order_items i WHERE i.order_id = o.id) l ORDER BY l.total DESC LIMIT 3
SELECT a.id, b.id FROM users a JOIN users b ON a.email = b.email AND a.id < b.id
SELECT * FROM users NATURAL JOIN (SELECT 1::bigint AS id) one
SELECT * FROM orders FULL OUTER JOIN order_items ON orders.id = order_items.order_id WHERE orders.id IS NULL OR order_items.order_id IS NULL
SELECT count(*) FROM users TABLESAMPLE SYSTEM (10) REPEATABLE (1)
SELECT count(*) FROM users TABLESAMPLE BERNOULLI (5)
SELECT * FROM users ORDER BY random() LIMIT 1
SELECT ctid, xmin, tableoid::regclass, * FROM users LIMIT 1
SELECT (u).name, (u.*)::text FROM users u LIMIT 1
SELECT u FROM users u LIMIT 1
SELECT ARRAY(SELECT id FROM users ORDER BY id LIMIT 3), (ARRAY[1, 2, 3])[2:3], array_length(ARRAY[[1], [2]], 1), 3 = ANY (ARRAY[1, 3])
SELECT unnest(ARRAY[1, 2]), unnest(ARRAY['a', 'b', 'c'])
SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) WITH ORDINALITY AS t(n, w, i)
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(5, 7)) AS t(a, b)
SELECT 7 / 2, 7 % 2, 7.0 / 2, 2 ^ 10, |/ 25, @ -5, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, power(2, 3), div(7, 2), mod(7, 2)
SELECT round(2.345, 2), ceil(1.2), floor(-1.2), trunc(1.99, 1), sign(-3), ln(10), exp(1), pi(), sqrt(2), cbrt(27)
SELECT 1::int, '2'::smallint, 3::bigint, 1.5::real, '1.5'::double precision, '12.30'::numeric(5, 2), 't'::boolean, CAST('2026-01-01' AS date)
SELECT B'101' | B'010', X'1F', 1e-3, .5, 5., 0.1 + 0.2
SELECT 'a' || 'b', 'it''s', E'tab\there', $$dollar $ quoted$$, $tag$ 'x' $tag$, 'multi'
  'line'
SELECT true AND NOT false OR NULL, 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, (1 = 2) IS UNKNOWN, 5 BETWEEN SYMMETRIC 9 AND 1
SELECT inet '10.0.0.1/8' << inet '10.0.0.0/8', host(inet '10.1.2.3'), network(inet '10.1.2.3/16'), masklen('10.0.0.0/8'::cidr)
SELECT point(1, 2) <-> point(4, 6), box '((0,0),(1,1))' && box '((1,1),(2,2))', circle '<(0,0),1>' @> point '(0.5,0)'
SELECT xmlelement(name a, xmlattributes(1 AS b), 'c'), xpath('/a/text()', '<a>x</a>'::xml)
SELECT id, status FROM orders WHERE status = 'paid'::order_status AND status > 'pending' FETCH FIRST 3 ROWS ONLY
SELECT id FROM orders ORDER BY ordered_at DESC NULLS LAST, id ASC OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY
SELECT "id", "name" AS "Full Name" FROM "public"."users" AS "u" WHERE "u"."id" = 1
SELECT /* hint */ id -- trailing
FROM users WHERE id = 1
SELECT id FROM ONLY users WHERE id = 1
TABLE products
VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC
SELECT current_date, current_time, localtimestamp, current_user, session_user, current_schema, current_catalog
SELECT count(*) FROM users WHERE name COLLATE "C" < 'B'
SELECT count(*) FROM users u JOIN orders o ON o.user_id = u.id JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE p.price > 50 AND u.city IN ('Oslo', 'Paris')
SELECT min(created_at), max(created_at), max(created_at) - min(created_at) FROM users
SELECT bool_and(price > 0), bool_or(price > 100), every(price IS NOT NULL), bit_or(1), count(DISTINCT (sku, name)) FROM products
SELECT sum(price) FILTER (WHERE sku LIKE 'BOO%') AS books, sum(price) FILTER (WHERE sku NOT LIKE 'BOO%') AS rest FROM products
SELECT num_nulls(street, city, state, zip), count(*) FROM users GROUP BY 1 ORDER BY 1
SELECT zip ~ '^\d{5}$' AS valid, count(*) FROM users GROUP BY 1
SELECT md5(string_agg(u::text, ',' ORDER BY id)) FROM users u
SELECT hashtext(email) % 10 AS shard, count(*) FROM users GROUP BY 1
SELECT lower(email) AS e, count(*) FROM users GROUP BY lower(email) HAVING count(*) > 1
SELECT street, regexp_count(street, ' ') FROM users WHERE street IS NOT NULL LIMIT 3
SELECT gen_random_uuid(), clock_timestamp() > now(), random() < 2
SELECT merge_action FROM (SELECT 'x' AS merge_action) s
SELECT "set", "update", "delete" FROM (SELECT 1 AS "set", 2 AS "update", 3 AS "delete") q
SELECT set_masklen('10.0.0.0/8'::inet, 16), replace('drop table', 'drop', 'x'), translate('abc', 'ab', 'xy')
SELECT JSON_OBJECT('a': 1, 'b': 2), JSON_ARRAY(1, 2), '{"a": 1}' IS JSON OBJECT
SELECT JSON_VALUE('{"a": 5}'::jsonb, '$.a' RETURNING int)
SELECT * FROM JSON_TABLE('[{"a": 1}, {"a": 2}]'::jsonb, '$[*]' COLUMNS (a int PATH '$.a')) AS t
SELECT JSON_QUERY('{"a": [1]}'::jsonb, '$.a' WITH WRAPPER)
