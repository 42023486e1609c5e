-- What the workload `sqlite3` runs, in memory: a table of people and one of what they bought,
-- filled from a sequence of numbers that is always the same; indexes, joins, groups, updates,
-- deletes, text and JSON functions. Its cache of pages, its statements and its sorting all live on
-- malloc.

CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, town TEXT, born INTEGER);
CREATE TABLE purchases (
  id INTEGER PRIMARY KEY, person INTEGER, thing TEXT, price INTEGER, note TEXT);

BEGIN;
WITH RECURSIVE numbers(i, x) AS (
  SELECT 1, 20261126
  UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM numbers WHERE i < 20000)
INSERT INTO people
  SELECT i, printf('name %d of %d', x % 4001, i), 'town ' || (x / 65536 % 300),
         1930 + x / 65536 % 80
  FROM numbers;
WITH RECURSIVE numbers(i, x) AS (
  SELECT 1, 11262026
  UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM numbers WHERE i < 120000)
INSERT INTO purchases
  SELECT i, x / 65536 % 20000 + 1, 'thing ' || (x / 1024 % 5003), x / 65536 % 997,
         substr(hex(x) || hex(x * 7) || hex(x * 13), 1, 8 + x / 65536 % 40)
  FROM numbers;
COMMIT;

CREATE INDEX purchases_by_person ON purchases (person, price);
CREATE INDEX purchases_by_thing ON purchases (thing);

SELECT count(*), sum(price), max(length(note)) FROM purchases;

SELECT town, count(DISTINCT people.id), sum(price), min(thing), max(note)
  FROM people JOIN purchases ON person = people.id
  GROUP BY town ORDER BY 3 DESC, 1 LIMIT 5;

SELECT length(group_concat(name || ':' || total)) FROM (
  SELECT name, sum(price) AS total FROM people JOIN purchases ON person = people.id
  WHERE born BETWEEN 1950 AND 1980 GROUP BY people.id ORDER BY total DESC, name LIMIT 4000);

SELECT sum(place * price) % 1000003 FROM (
  SELECT price, row_number() OVER (PARTITION BY person ORDER BY price DESC, id) AS place
  FROM purchases) WHERE place <= 3;

UPDATE purchases SET note = note || ' changed', price = price + 1 WHERE id % 7 = 0;
DELETE FROM purchases WHERE person % 3 = 0;
INSERT INTO purchases SELECT id + 1000000, person, upper(thing), price * 2, json_array(thing, price)
  FROM purchases WHERE id % 5 = 0;

SELECT count(*), sum(json_extract(note, '$[1]')) FROM purchases WHERE id > 1000000;
SELECT count(*), sum(price) FROM purchases
  WHERE thing IN (SELECT thing FROM purchases WHERE price > 990);

DROP INDEX purchases_by_thing;
DELETE FROM people WHERE id NOT IN (SELECT person FROM purchases);
VACUUM;
SELECT count(*), sum(length(name)) FROM people;
