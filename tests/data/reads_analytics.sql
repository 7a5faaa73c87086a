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
WITH cohort AS (SELECT user_id, min(date_trunc('month', ordered_at)) AS first_month FROM orders GROUP BY user_id), activity AS (SELECT o.user_id, date_trunc('month', o.ordered_at) AS month FROM orders o GROUP BY 1, 2) SELECT c.first_month::date, extract(year FROM age(a.month, c.first_month)) * 12 + extract(month FROM age(a.month, c.first_month)) AS months_since, count(DISTINCT a.user_id) FROM cohort c JOIN activity a USING (user_id) GROUP BY 1, 2 ORDER BY 1, 2
SELECT user_id, max(ordered_at)::date - min(ordered_at)::date AS span, ntile(5) OVER (ORDER BY max(ordered_at)) AS r, ntile(5) OVER (ORDER BY count(*)) AS f FROM orders GROUP BY user_id
WITH d AS (SELECT ordered_at::date AS day, count(*) AS n FROM orders GROUP BY 1) SELECT day, n, avg(n) OVER (ORDER BY day RANGE BETWEEN interval '6 days' PRECEDING AND CURRENT ROW) AS ma7, sum(n) OVER (PARTITION BY date_trunc('month', day) ORDER BY day) AS mtd, n - lag(n, 7) OVER w AS wow, first_value(n) OVER w, last_value(n) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM d WINDOW w AS (ORDER BY day)
WITH g AS (SELECT user_id, ordered_at, ordered_at - lag(ordered_at) OVER (PARTITION BY user_id ORDER BY ordered_at) > interval '30 days' AS is_new FROM orders), s AS (SELECT *, count(*) FILTER (WHERE is_new) OVER (PARTITION BY user_id ORDER BY ordered_at) AS session FROM g) SELECT user_id, session, min(ordered_at), max(ordered_at), count(*) FROM s GROUP BY 1, 2
SELECT day, day - (row_number() OVER (ORDER BY day))::int AS island, count(*) OVER () FROM (SELECT DISTINCT ordered_at::date AS day FROM orders) d
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY price) AS p25, percentile_disc(0.5) WITHIN GROUP (ORDER BY price) AS p50, percentile_disc(ARRAY[0.9, 0.95]) WITHIN GROUP (ORDER BY price DESC) FROM products
SELECT rank(50) WITHIN GROUP (ORDER BY price), dense_rank(50) WITHIN GROUP (ORDER BY price), cume_dist(50) WITHIN GROUP (ORDER BY price) FROM products
SELECT coalesce(city, 'all') AS city, coalesce(state, 'all') AS state, count(*), grouping(city, state) FROM users GROUP BY ROLLUP (city, state) HAVING count(*) > 1 ORDER BY grouping(city), 1 NULLS LAST
SELECT date_trunc('quarter', ordered_at), status, count(*) FROM orders GROUP BY GROUPING SETS (ROLLUP (date_trunc('quarter', ordered_at)), CUBE (status))
SELECT extract(isodow FROM ordered_at) AS dow, count(*) FROM orders GROUP BY DISTINCT ROLLUP (1), CUBE (1)
SELECT u.id, last3.ids FROM users u LEFT JOIN LATERAL (SELECT array_agg(o.id) AS ids FROM (SELECT id FROM orders WHERE user_id = u.id ORDER BY ordered_at DESC LIMIT 3) o) last3 ON true WHERE u.id <= 10
SELECT p.sku, t.ord, t.tag FROM products p CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(p.attributes -> 'tags', '[]')) WITH ORDINALITY AS t(tag, ord) WHERE t.ord = 1
SELECT jsonb_path_query_array(attributes, '$.tags[*] ? (@ like_regex "^t" flag "i")'), jsonb_path_exists(attributes, '$.weight_g ? (@ > $min)', '{"min": 10}'), attributes @? '$.tags[0]', attributes @@ '$.weight_g > 100' FROM products LIMIT 3
SELECT (attributes #>> '{tags,0}')::text, attributes ?| ARRAY['tags', 'x'], attributes ?& ARRAY['tags'], attributes #- '{tags,0}', attributes || '{"a": 1}'::jsonb, jsonb_strip_nulls(attributes) FROM products LIMIT 2
SELECT jsonb_object_keys(attributes) AS k, count(*) FROM products GROUP BY 1
SELECT json_build_object('type', 'FeatureCollection', 'features', json_agg(json_build_object('id', id, 'props', to_jsonb(p) - 'id'))) FROM (SELECT id, name FROM products LIMIT 3) p
SELECT x.* FROM products p, jsonb_to_record(p.attributes) AS x(weight_g int, tags jsonb) LIMIT 3
SELECT jsonb_populate_record(NULL::products, '{"id": 5, "name": "x"}')
SELECT attributes['tags'][0], (attributes -> 'tags')[0]::text FROM products LIMIT 1
SELECT JSON_OBJECTAGG(sku VALUE price RETURNING jsonb) FROM (SELECT sku, price FROM products LIMIT 3) p
SELECT jt.* FROM products p, JSON_TABLE(p.attributes, '$' COLUMNS (weight numeric PATH '$.weight_g', NESTED PATH '$.tags[*]' COLUMNS (tag text PATH '$'))) jt LIMIT 5
SELECT JSON_VALUE(attributes, '$.weight_g' RETURNING numeric DEFAULT 0 ON EMPTY ERROR ON ERROR), JSON_EXISTS(attributes, '$.tags[*] ? (@ == "t1")') FROM products LIMIT 2
SELECT '{"a": [1, 2]}' IS JSON, '1' IS JSON SCALAR, '[]' IS NOT JSON ARRAY WITH UNIQUE KEYS
SELECT array_agg(DISTINCT user_id ORDER BY user_id DESC) FILTER (WHERE status = 'paid') AS payers, array_agg(ARRAY[id, user_id]) FROM orders WHERE id < 5
SELECT (array_agg(id ORDER BY ordered_at DESC))[1:3] FROM orders GROUP BY user_id HAVING count(*) >= 3 LIMIT 5
SELECT i, x FROM (VALUES ('{1,2,3}'::int[])) v(a), unnest(v.a) WITH ORDINALITY AS u(x, i) ORDER BY i DESC
SELECT generate_subscripts(ARRAY['a', 'b'], 1) AS i, array_to_json(ARRAY[1, 2]), string_to_array('a,b,,d', ',', ''), array_fill(0, ARRAY[2, 2]), trim_array(ARRAY[1, 2, 3], 1)
SELECT daterange('2025-01-01', '2025-02-01', '[)') && daterange('2025-01-15', NULL), lower(daterange('2025-01-01', '2025-02-01')), isempty(int4range(1, 1)), int4multirange(int4range(1, 3), int4range(5, 7)) @> 6, range_merge(int4range(1, 2), int4range(5, 6)), unnest('{[1,3), [5,7)}'::int4multirange)
SELECT range_intersect_agg(tstzrange(ordered_at, ordered_at + interval '1 year')) FROM orders WHERE id < 10
SELECT to_tsvector('simple', name) || setweight(to_tsvector(coalesce(description, '')), 'B') FROM products LIMIT 2
SELECT id, ts_rank_cd(to_tsvector('english', name), q, 32) AS rank FROM products, websearch_to_tsquery('english', '"big book" -lamp or cup') AS q WHERE to_tsvector('english', name) @@ q ORDER BY rank DESC
SELECT phraseto_tsquery('english', 'the quick fox'), to_tsquery('fat:ab & cat:*'), tsvector_to_array('a:1 b:2'::tsvector), numnode('a & b'::tsquery), querytree('a & !b'::tsquery), ts_delete('a b'::tsvector, 'a'), 'a'::tsquery && 'b'::tsquery, 'a'::tsquery <-> 'b'::tsquery
SELECT alias, description, token FROM ts_debug('english', 'a fat cat') LIMIT 3
SELECT regexp_matches(email, '^([^@]+)@(.+)$'), regexp_match(name, '(\w+)\s+(\w+)'), regexp_split_to_array('a b  c', '\s+'), regexp_substr('abc123', '\d+'), regexp_instr('abc', 'c'), regexp_like('Abc', '^a', 'i'), name ~* '^(a|b)', name !~ 'x$' FROM users LIMIT 2
SELECT regexp_replace('2025-01-31', '(\d+)-(\d+)-(\d+)', '\3.\2.\1', 'g'), substring('foobar' FROM 'o(.)b'), substring('foobar' FOR 3), split_part('a/b/c', '/', -1), translate('abc', 'a', 'x'), left('abc', -1), right('abc', 2), starts_with('abc', 'ab'), 'abc' ^@ 'ab', strpos('abc', 'c'), ascii('a'), chr(65), repeat('ab', 3), btrim('xxaxx', 'x'), rpad('a', 3, '-'), to_hex(255), md5('a'), sha256('a'), encode('\x0102', 'hex'), decode('AQI=', 'base64'), unistr('\0441'), quote_nullable(NULL), format('%1$s %2$I %1$L', 'a', 'B')
SELECT 'abc' SIMILAR TO '%(b|d)%', 'a_c' LIKE 'a#_c' ESCAPE '#', 'ABC' ILIKE ANY (ARRAY['a%', 'b%']), 'x' NOT LIKE ALL (ARRAY['a%', 'b%']), 'a' || NULL IS NULL, concat('a', NULL, 1)
SELECT to_date('31 Jan 2025', 'DD Mon YYYY'), to_timestamp('2025-01-31 10:20', 'YYYY-MM-DD HH24:MI'), to_char(now(), 'Day, DD FMMonth YYYY HH12:MI am'), to_char(1234.5, 'FM9,999.00'), to_number('1,234.5', '9G999D9'), justify_interval(interval '40 days 30 hours'), date_part('week', now()), isfinite(now()), make_timestamptz(2025, 1, 2, 3, 4, 5.5, 'UTC'), now() AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo', timezone('UTC', now()), extract(epoch FROM interval '1 day 2 hours')
SELECT d::date AS day, to_char(d, 'Dy') AS dow, d BETWEEN '2025-01-01' AND '2025-01-31' AS jan FROM generate_series(timestamp '2025-01-01', '2025-02-10', interval '1 day') AS d WHERE extract(dow FROM d) NOT IN (0, 6)
SELECT h, count(o.id) FROM generate_series(0, 23) AS h LEFT JOIN orders o ON extract(hour FROM o.ordered_at AT TIME ZONE 'America/New_York') = h GROUP BY h ORDER BY h
SELECT date_bin('15 min', ordered_at, timestamp with time zone '2001-01-01') AS slot, count(*) FROM orders GROUP BY slot ORDER BY slot DESC LIMIT 5
SELECT n, sum(n) OVER (ORDER BY n GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW), count(*) FILTER (WHERE n % 2 = 0) OVER (ORDER BY n) FROM generate_series(1, 10) AS s(n)
SELECT name, price, price / sum(price) OVER () AS share, sum(price) OVER (ORDER BY price DESC) / sum(price) OVER () AS cumulative FROM products ORDER BY price DESC FETCH FIRST 10 ROWS WITH TIES
WITH RECURSIVE dates(d) AS (SELECT date '2025-01-01' UNION ALL SELECT d + 1 FROM dates WHERE d < '2025-01-10') SELECT d, (SELECT count(*) FROM orders o WHERE o.ordered_at::date = d) FROM dates
WITH RECURSIVE tree(id, parent, path, depth) AS (SELECT 1, NULL::int, ARRAY[1], 0 UNION ALL SELECT t.id + 1, t.id, path || (t.id + 1), depth + 1 FROM tree t WHERE depth < 4) SEARCH DEPTH FIRST BY id SET ord CYCLE id SET is_cycle USING cyc SELECT id, repeat('  ', depth) || id AS label, path, is_cycle FROM tree ORDER BY ord
WITH RECURSIVE t AS (SELECT 1 AS n, 1::numeric AS f UNION ALL SELECT n + 1, f * (n + 1) FROM t WHERE n < 20) SELECT n, f FROM t
WITH RECURSIVE sudoku(n) AS MATERIALIZED (VALUES (1)) SELECT * FROM sudoku
SELECT width_bucket(price, ARRAY[0, 10, 50, 100]::numeric[]) AS bucket, count(*), repeat('■', (count(*) / 5)::int) AS bar FROM products GROUP BY 1 ORDER BY 1
SELECT regr_slope(y, x), regr_intercept(y, x), regr_r2(y, x), covar_pop(y, x), corr(y, x), stddev_pop(x), var_samp(y), regr_count(y, x) FROM (SELECT n::float AS x, n * 2.0 + 1 AS y FROM generate_series(1, 10) n) s
SELECT count(*) AS n, count(DISTINCT (user_id, status)), sum((status = 'paid')::int), avg(CASE status WHEN 'paid' THEN 1.0 ELSE 0 END), bool_or(note IS NULL), string_agg(DISTINCT status::text, '|' ORDER BY status::text), min(ordered_at)::text || ' … ' || max(ordered_at)::text FROM orders
SELECT DISTINCT ON (date_trunc('month', ordered_at)) date_trunc('month', ordered_at) AS month, id, user_id FROM orders ORDER BY date_trunc('month', ordered_at), id DESC
SELECT id, name FROM users TABLESAMPLE BERNOULLI (1.5) REPEATABLE (42) LIMIT 5
SELECT u.* FROM users u WHERE u.created_at > (SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY created_at) FROM users) AND EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.status IN ('paid', 'shipped')) LIMIT 5
SELECT * FROM users WHERE (city, state) = ANY (SELECT city, state FROM users GROUP BY 1, 2 HAVING count(*) > 3) LIMIT 3
SELECT o.id FROM orders o WHERE o.user_id = ALL (SELECT 1) OR o.id > SOME (ARRAY[1, 2]) LIMIT 3
SELECT a.email FROM users a INTERSECT ALL SELECT b.email FROM users b EXCEPT ALL (SELECT c.email FROM users c LIMIT 5) LIMIT 5
SELECT * FROM (SELECT 1 AS a, 2 AS b UNION ALL VALUES (3, 4)) t(x, y) NATURAL FULL JOIN (SELECT 3 AS x) s ORDER BY x
SELECT o.*, u.name AS "user name", u.email "E-Mail" FROM orders AS o INNER JOIN users AS u ON (u.id = o.user_id) LEFT OUTER JOIN order_items i ON i.order_id = o.id AND i.quantity > 1 RIGHT JOIN products p ON p.id = i.product_id CROSS JOIN (SELECT 1 AS one) x WHERE o.id IS NOT NULL LIMIT 2
SELECT merged.* FROM (orders JOIN order_items ON orders.id = order_items.order_id) AS merged LIMIT 1
SELECT id, CASE WHEN price IS NULL THEN 'none' WHEN price < 10 AND name LIKE 'B%' THEN 'b' ELSE (CASE WHEN price > 100 THEN 'c' END) END FROM products ORDER BY CASE WHEN price > 50 THEN 0 ELSE 1 END, id LIMIT 3
SELECT now()::timestamp(0), '1 day'::interval, 5::numeric(10, 2), '{1,2}'::int[], 'a'::char(3), B'1'::bit(3), '10.0.0.0/8'::cidr, '(1,2)'::point, 'users'::regclass::oid, '1'::xid8, 'infinity'::float, 'NaN'::numeric, $$it's$$::text, int '5', date '2025-01-01', interval '1' month, timestamp(3) with time zone '2025-01-01 00:00+00'
SELECT point '(1,1)' <-> point '(4,5)', circle '((0,0),2)' @> point '(1,1)', box '((0,0),(1,1))' # box '((0.5,0.5),(2,2))', lseg '[(0,0),(1,1)]' ?# lseg '[(0,1),(1,0)]', path '((0,0),(1,1))' <-> path '((2,2),(3,3))', area(circle '((0,0),1)'), center(box '((0,0),(2,2))')
SELECT host(inet '192.168.1.5/24'), broadcast('192.168.1.5/24'::inet), inet '192.168.1.5' <<= '192.168.0.0/16', family('::1'), macaddr '08:00:2b:01:02:03', set_masklen('10.1.1.1/8'::inet, 16), inet_merge('10.0.0.1', '10.0.1.1')
SELECT xpath('//b/text()', '<a><b>1</b></a>'), xmlagg(xmlelement(NAME row, xmlforest(id, name AS "n"))) FROM (SELECT id, name FROM products LIMIT 2) p
SELECT x.id, x.n FROM XMLTABLE('/rows/row' PASSING xmlparse(DOCUMENT '<rows><row id="1"><n>a</n></row></rows>') COLUMNS id int PATH '@id', n text PATH 'n' DEFAULT '-', pos FOR ORDINALITY) AS x
SELECT table_to_json.* FROM (SELECT row_to_json(u, true) FROM users u LIMIT 1) table_to_json
SELECT txid_current_if_assigned(), setseed(0.5), random(1, 10), random_normal(), gen_random_uuid(), statement_timestamp(), timeofday()
SELECT row_number() OVER () AS "#", t.* FROM (TABLE products ORDER BY id LIMIT 3) t
SELECT ROW(1, 'a')::text, ROW(u.*) IS NULL, (ROW(1, 2)).f1, (u).id, u.* FROM users u LIMIT 1
SELECT coalesce(nullif(trim(name), ''), 'n/a'), greatest(price, 10, NULL), least(price, 5), num_nonnulls(price, name), price IS DISTINCT FROM 5, NOT price > 5 FROM products LIMIT 1
SELECT sum(quantity * unit_price) FILTER (WHERE product_id IN (SELECT id FROM products WHERE price > 50)) AS expensive, sum(quantity * unit_price) AS total FROM order_items
WITH a AS (SELECT * FROM users WHERE id < 100), b AS NOT MATERIALIZED (SELECT * FROM a WHERE id > 50), c(x, y) AS (SELECT id, name FROM b) TABLE c
SELECT * FROM ROWS FROM (jsonb_to_recordset('[{"a": 1}]') AS (a int), unnest(ARRAY['x', 'y'])) WITH ORDINALITY AS t(a, b, n)
SELECT u.id, o.n, o.total FROM users u, LATERAL (SELECT count(*) AS n, coalesce(sum(i.quantity * i.unit_price), 0) AS total FROM orders o LEFT JOIN order_items i ON i.order_id = o.id WHERE o.user_id = u.id) AS o WHERE o.n > 2 ORDER BY o.total DESC NULLS LAST LIMIT 5
SELECT current_schema(), current_schemas(true), session_user, current_role, user, current_setting('search_path'), pg_my_temp_schema(), pg_is_other_temp_schema(0), current_database(), pg_catalog.version()
SELECT c.table_name, string_agg(c.column_name || ' ' || c.data_type || coalesce('(' || c.character_maximum_length || ')', ''), E',\n  ' ORDER BY c.ordinal_position) AS ddl FROM information_schema.columns c WHERE c.table_schema = 'public' GROUP BY 1
SELECT rc.constraint_name, rc.update_rule, rc.delete_rule, kcu.column_name, rel_kcu.table_name FROM information_schema.referential_constraints rc JOIN information_schema.key_column_usage kcu ON rc.constraint_name = kcu.constraint_name LEFT JOIN information_schema.key_column_usage rel_kcu ON rc.unique_constraint_name = rel_kcu.constraint_name AND kcu.position_in_unique_constraint = rel_kcu.ordinal_position
SELECT view_name, table_name FROM information_schema.view_table_usage UNION SELECT routine_name, data_type FROM information_schema.routines WHERE specific_schema = 'public' LIMIT 5
SELECT ordinality, key, value FROM jsonb_each('{"a": 1, "b": [2]}') WITH ORDINALITY ORDER BY ordinality
SELECT count(*) FROM users WHERE created_at >= date_trunc('week', CURRENT_DATE - INTERVAL '1 week') AND created_at < date_trunc('week', CURRENT_DATE)
SELECT product_id, sum(quantity) AS qty, rank() OVER (PARTITION BY date_trunc('month', o.ordered_at) ORDER BY sum(quantity) DESC) AS rnk, date_trunc('month', o.ordered_at) AS m FROM order_items i JOIN orders o ON o.id = i.order_id GROUP BY 1, 4 ORDER BY 4, 3 LIMIT 20
SELECT avg(gap) FROM (SELECT extract(epoch FROM ordered_at - lag(ordered_at) OVER (PARTITION BY user_id ORDER BY ordered_at)) / 86400 AS gap FROM orders) g WHERE gap IS NOT NULL
SELECT p1.product_id, p2.product_id, count(*) AS together FROM order_items p1 JOIN order_items p2 ON p1.order_id = p2.order_id AND p1.product_id < p2.product_id GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY together DESC LIMIT 10
SELECT status, round(100.0 * count(*) / sum(count(*)) OVER (), 2) || ' %' AS pct, lag(count(*)) OVER (ORDER BY count(*) DESC) FROM orders GROUP BY status
SELECT id, "name", /* the user's e-mail */ email -- ; not the end
  FROM users -- DELETE FROM users;
  WHERE name <> 'DROP TABLE users; --' /* UPDATE users SET x = 1; /* nested */ */ LIMIT 1
SELECT call, copy, lock, merge, notify, "do", vacuum FROM (SELECT 1 AS call, 2 AS copy, 3 AS lock, 4 AS merge, 5 AS notify, 6 AS "do", 7 AS vacuum) kw
SELECT update_time, delete_flag, into_date, for_update FROM (SELECT now() AS update_time, false AS delete_flag, now() AS into_date, 1 AS for_update) x
SELECT o.id AS insert, o.status AS update, o.note AS delete FROM orders o LIMIT 1
SELECT u.id, x.label FROM users u JOIN (VALUES (1, 'one'), (2, 'two')) AS x(id, label) USING (id) AS j
SELECT * FROM users ORDER BY name COLLATE "C" DESC, id USING < LIMIT 3
SELECT id FROM products WHERE attributes ? 'weight_g' AND NOT attributes ?& array['a','b'] AND name ~~ 'B%' LIMIT 1
SELECT lo_get(0) WHERE false
SELECT min(id) KEEP FROM users
SELECT any_value(name), count(*) FROM users GROUP BY city LIMIT 3
SELECT sum(x) FROM unnest(ARRAY[1,2,3]) AS x WHERE x = ANY ('{1,2}')
SELECT floor(random() * 10)::int AS bucket, count(*) FROM users GROUP BY 1 ORDER BY 1
SELECT pg_size_pretty(sum(pg_column_size(u.*))) FROM users u
SELECT dense_rank() OVER (ORDER BY a.c DESC), a.* FROM (SELECT city, count(*) c FROM users GROUP BY city) a LIMIT 5
SELECT date '2025-02-28' + 1, date '2025-01-31' + interval '1 month', '2025-01-01'::date - '2024-01-01'::date, now() - '1 hour'::interval > now() - '90 minutes'::interval, interval '1 year 2 mons' / 2
SELECT array(SELECT DISTINCT status FROM orders ORDER BY 1)::text[], (SELECT array_agg(x) FROM (SELECT 1 x) s)
SELECT id FROM orders WHERE ordered_at::date IN (SELECT generate_series('2025-01-01'::date, '2025-01-07'::date, '1 day')::date)
SELECT cume, cnt FROM (SELECT sum(count(*)) OVER (ORDER BY date_trunc('day', created_at)) AS cume, count(*) AS cnt FROM users GROUP BY date_trunc('day', created_at)) s LIMIT 3
