-- Read by tools/verify_corpus over airports.csv and iata_macs.csv of PyPI's airportsdata: 28,000 airports, names in many alphabets.
CREATE TABLE airports (icao text, iata text, name text, city text, subd text, country text, elevation double precision, lat double precision, lon double precision, tz text, lid text);
CREATE TABLE macs (country text, city_code text, city text, airport_code text, airport text);
-- copy airports from airports.csv null NA
-- copy macs from iata_macs.csv null NA
ALTER TABLE airports ADD id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE airports ADD UNIQUE (icao);

-- == zones_and_countries_looked_up_with_a_check: keeping
-- check: select id, tz, country from airports
-- against: select a.id, z.name, c.code from airports a join zones z on z.id = a.zone join countries c on c.id = a.country_id
-- weak: select tz, country from airports
-- against: select z.name, c.code from airports a join zones z on z.id = a.zone join countries c on c.id = a.country_id
-- weak: select id, tz, 'x' as country from airports
-- against: select a.id, z.name, 'x' from airports a join zones z on z.id = a.zone
CREATE TABLE zones AS SELECT row_number() OVER (ORDER BY tz)::int AS id, tz AS name FROM airports GROUP BY tz;
CREATE TABLE countries AS SELECT row_number() OVER (ORDER BY country)::int AS id, country AS code FROM airports GROUP BY country;
ALTER TABLE airports ADD zone int, ADD country_id int;
UPDATE airports a SET zone = z.id, country_id = c.id FROM zones z, countries c WHERE z.name = a.tz AND c.code = a.country;
ALTER TABLE airports DROP tz, DROP country;

-- == partitioned_by_country: keeping
CREATE TABLE parts (LIKE airports) PARTITION BY LIST (country);
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('US', 'CA');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT * FROM airports;
DROP TABLE airports;
ALTER TABLE parts RENAME TO airports;

-- == decimals_exact_with_a_check: keeping
-- check: select id, lat, lon from airports
-- against: select id, north::float8, east::float8 from airports
-- weak: select round(lat), round(lon), id from airports
-- against: select round(north::float8), round(east::float8), id from airports
ALTER TABLE airports ADD north numeric, ADD east numeric;
UPDATE airports SET north = lat::text::numeric, east = lon::text::numeric;
ALTER TABLE airports DROP lat, DROP lon;

-- == codes_in_one_array_with_a_check: keeping
-- check: select id, icao, iata, lid from airports
-- against: select id, codes[1], codes[2], codes[3] from airports
-- weak: select id, icao || iata || lid from airports
-- against: select id, array_to_string(codes, '') from airports
ALTER TABLE airports ADD codes text[];
UPDATE airports SET codes = ARRAY[icao, iata, lid];
ALTER TABLE airports DROP icao, DROP iata, DROP lid;

-- == macs_get_a_key: keeping
ALTER TABLE macs ADD id uuid PRIMARY KEY DEFAULT gen_random_uuid();
ALTER TABLE macs ALTER country TYPE char(2), ALTER city_code TYPE varchar(3);

-- == names_composed_otherwise: losing
UPDATE airports SET name = normalize(name, NFKD) WHERE id IN (SELECT id FROM airports WHERE name <> normalize(name, NFKD) ORDER BY id LIMIT 1);

-- == no_code_turned_null: losing
UPDATE airports SET iata = nullif(iata, '');

-- == one_degree_rounded: losing
UPDATE airports SET lat = round(lat::numeric, 5) WHERE id = (SELECT id FROM airports WHERE lat::text ~ '\.\d{6,}' ORDER BY id LIMIT 1);

-- == cities_deduplicated: losing
-- check: select id, city, subd, country from airports
-- against: select a.id, c.city, c.subd, c.country from airports a join cities c on c.id = a.city_id
-- weak: select distinct city from airports
-- against: select city from cities group by city
-- weak: select id, country from airports
-- against: select a.id, c.country from airports a join cities c on c.id = a.city_id
CREATE TABLE cities AS SELECT row_number() OVER ()::int AS id, city, country, min(subd) AS subd FROM airports GROUP BY city, country;
ALTER TABLE airports ADD city_id int;
UPDATE airports a SET city_id = c.id FROM cities c WHERE (c.city, c.country) = (a.city, a.country);
ALTER TABLE airports DROP city, DROP subd, DROP country;

-- == macs_joined_by_name: losing
-- check: select country, city_code, city, airport_code, airport from macs
-- against: select country, city_code, mac_city, airport_code, airport from joined
-- weak: select m.country, m.city_code, m.city, m.airport_code, m.airport from macs m join airports a on a.name = m.airport
-- against: select country, city_code, mac_city, airport_code, airport from joined
CREATE TABLE joined AS SELECT m.country, m.city_code, m.city AS mac_city, m.airport_code, m.airport, a.id FROM macs m JOIN airports a ON a.name = m.airport;
DROP TABLE macs;

-- == case_folded_in_one_zone: losing
UPDATE airports SET city = upper(city) WHERE tz = 'Europe/Dublin';

-- == latitude_and_longitude_exchanged: losing
ALTER TABLE airports RENAME lat TO x;
ALTER TABLE airports RENAME lon TO lat;
ALTER TABLE airports RENAME x TO lon;

-- == feet_to_whole_metres: losing
-- check: select id, elevation from airports
-- against: select id, metres / 0.3048 from airports
ALTER TABLE airports ADD metres double precision;
UPDATE airports SET metres = round(elevation * 0.3048);
ALTER TABLE airports DROP elevation;
