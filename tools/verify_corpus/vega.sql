-- Read by tools/verify_corpus over the CSV files of PyPI's vega_datasets; what stands before the first case is run once.
CREATE TABLE airports (iata text PRIMARY KEY, name text, city text, state text, country text, latitude float8, longitude float8);
CREATE TABLE weather (day date PRIMARY KEY, rain numeric, warmest numeric, coldest numeric, wind float8, kind text);
CREATE TABLE temps (temp numeric, at timestamp);
CREATE TABLE stocks (symbol text, month text, price numeric);
CREATE TABLE riots (first_name text, last_name text, age int, gender text, race text, died date, address text, hood text, type text, lon float8, lat float8);
-- copy airports from airports.csv
-- copy weather from seattle-weather.csv
-- copy temps from sf-temps.csv
-- copy stocks from stocks.csv
-- copy riots from la-riots.csv
-- Real duplicates, times with a fraction, a key, and values that are missing.
INSERT INTO stocks SELECT * FROM stocks WHERE symbol = 'IBM';
UPDATE temps SET at = at + interval '123456 microseconds' WHERE temp > 60;
ALTER TABLE riots ADD COLUMN id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
UPDATE riots SET hood = NULL WHERE id % 9 = 0;
UPDATE riots SET address = NULL WHERE id % 10 = 0;

-- == wider_types: keeping
ALTER TABLE weather ALTER rain TYPE numeric(8, 2), ALTER day TYPE timestamp;
ALTER TABLE riots ALTER age TYPE bigint, ALTER first_name TYPE varchar(100);

-- == months_to_dates_with_a_check: keeping
-- check: select symbol, month, price from stocks
-- against: select symbol, to_char(at, 'FMMon FMDD YYYY'), price from stocks
ALTER TABLE stocks ADD COLUMN at date;
UPDATE stocks SET at = to_date(month, 'Mon DD YYYY');
ALTER TABLE stocks DROP COLUMN month;

-- == places_split_off: keeping
CREATE TABLE places (riot int PRIMARY KEY REFERENCES riots (id), address text, hood text, lon float8, lat float8);
INSERT INTO places SELECT id, address, hood, lon, lat FROM riots;
ALTER TABLE riots DROP address, DROP hood, DROP lon, DROP lat;

-- == states_looked_up_with_a_check: keeping
-- check: select iata, state from airports
-- against: select a.iata, s.name from airports a left join states s on s.id = a.state_id
CREATE TABLE states (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
INSERT INTO states (name) SELECT DISTINCT state FROM airports WHERE state IS NOT NULL;
ALTER TABLE airports ADD state_id int REFERENCES states (id);
UPDATE airports SET state_id = s.id FROM states s WHERE s.name = state;
ALTER TABLE airports DROP state;

-- == partitioned_without_a_key: keeping
ALTER TABLE temps RENAME TO plain;
CREATE TABLE temps (LIKE plain) PARTITION BY HASH (at);
CREATE TABLE temps_0 PARTITION OF temps FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE temps_1 PARTITION OF temps FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO temps SELECT * FROM plain;
DROP TABLE plain;

-- == moved_to_a_schema: keeping
CREATE SCHEMA geo;
ALTER TABLE airports SET SCHEMA geo;
ALTER TABLE weather RENAME COLUMN kind TO what;

-- == archived_and_indexed: keeping
CREATE TABLE old_weather (LIKE weather INCLUDING ALL);
WITH gone AS (DELETE FROM weather WHERE day < '2013-01-01' RETURNING *) INSERT INTO old_weather SELECT * FROM gone;
CREATE INDEX ON airports (city);

-- == zones_added: keeping
ALTER TABLE temps ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC';

-- == one_row: losing
DELETE FROM temps WHERE ctid = (SELECT ctid FROM temps OFFSET 4321 LIMIT 1);

-- == one_character: losing
UPDATE airports SET name = overlay(name PLACING 'x' FROM 3 FOR 1) WHERE iata = 'ORD';

-- == a_duplicate: losing
CREATE TABLE once AS SELECT DISTINCT * FROM stocks;
DROP TABLE stocks;
ALTER TABLE once RENAME TO stocks;

-- == null_turned_empty: losing
UPDATE riots SET hood = '' WHERE id = (SELECT min(id) FROM riots WHERE hood IS NULL);

-- == fractions_of_seconds: losing
ALTER TABLE temps ALTER at TYPE timestamp(0);

-- == times_turned_dates: losing
ALTER TABLE temps ALTER at TYPE date;

-- == swapped: losing
UPDATE airports SET latitude = longitude, longitude = latitude;

-- == one_swapped: losing
UPDATE airports SET latitude = longitude, longitude = latitude WHERE iata = 'SFO';

-- == rounded: losing
ALTER TABLE airports ALTER latitude TYPE numeric(9, 6);

-- == single_precision: losing
ALTER TABLE airports ALTER longitude TYPE real;

-- == join_by_city_alone_with_a_check: losing
-- check: select iata, city, state from airports
-- against: select a.iata, a.city, t.state from airports a join towns t on t.city = a.city
CREATE TABLE towns AS SELECT city, min(state) AS state FROM airports GROUP BY city;
ALTER TABLE airports DROP state;

-- == only_those_with_an_address: losing
-- check: select id, hood, address from riots
-- against: select riot, hood, address from places
CREATE TABLE places (riot int PRIMARY KEY REFERENCES riots (id), address text, hood text);
INSERT INTO places SELECT id, address, hood FROM riots WHERE address IS NOT NULL;
ALTER TABLE riots DROP address, DROP hood;

-- == trailing_space: losing
UPDATE riots SET type = type || ' ' WHERE id = 7;

-- == sign_lost: losing
UPDATE weather SET coldest = abs(coldest);

-- == scale_lost_in_text: losing
UPDATE stocks SET price = trunc(price) WHERE symbol = 'AMZN' AND month = 'Jan 1 2001';
