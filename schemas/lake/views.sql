-- Views over the tables of a lake, the same in DuckDB, Spark and Trino. They read `runs_all`, `attempts_all` and so on: tables over the folders
-- of `meno export LAKE --format parquet`, which duckdb.sql and spark.sql beside this file make. In Trino, make external tables with the columns
-- of the .json files here, partitioned by v and date.
--
-- Rows of runs, attempts and calls say what was known up to `as_of`: the newest row of a key counts. Rows of the other tables never change.
-- A lake may have a row twice (a store exported by two versions of its copies), and each counts once.
--
-- Stores that imported the same history have the same runs: each counts once, as the store has it that knows most of it. All views need the
-- table of runs for that, and a run that it does not have counts in every store.
--
-- `at` is a reserved word in some engines (DuckDB from 2.0 on wants "at"). So the views have it as `happened_at` too, which for events that were
-- imported is when they happened.

CREATE OR REPLACE VIEW run_nodes AS
SELECT every.run_id, MIN(every.node) AS node
FROM runs_all AS every
JOIN (SELECT run_id, MAX(events) AS events FROM runs_all GROUP BY run_id) AS most
  ON every.run_id = most.run_id AND every.events = most.events
GROUP BY every.run_id;

CREATE OR REPLACE VIEW runs AS
SELECT DISTINCT every.*
FROM runs_all AS every
JOIN (SELECT node, run_id, MAX(as_of) AS as_of FROM runs_all GROUP BY node, run_id) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.as_of = newest.as_of
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW attempts AS
SELECT DISTINCT every.*
FROM attempts_all AS every
JOIN (SELECT node, run_id, agent, attempt, MAX(as_of) AS as_of FROM attempts_all GROUP BY node, run_id, agent, attempt) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.agent = newest.agent AND every.attempt = newest.attempt AND every.as_of = newest.as_of
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW calls AS
SELECT DISTINCT every.*, every.at AS happened_at
FROM calls_all AS every
JOIN (SELECT node, run_id, agent, attempt, call, MAX(as_of) AS as_of FROM calls_all GROUP BY node, run_id, agent, attempt, call) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.agent = newest.agent AND every.attempt = newest.attempt AND every.call = newest.call AND every.as_of = newest.as_of
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW verdicts AS
SELECT DISTINCT every.*, every.at AS happened_at
FROM verdicts_all AS every
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW costs AS
SELECT DISTINCT every.*, every.at AS happened_at
FROM costs_all AS every
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW answers AS
SELECT DISTINCT every.*, every.at AS happened_at
FROM answers_all AS every
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

CREATE OR REPLACE VIEW tools AS
SELECT DISTINCT every.*, every.at AS happened_at
FROM tools_all AS every
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;

-- Only after an export with --with-payloads:
-- CREATE OR REPLACE VIEW texts AS
-- SELECT DISTINCT every.*, every.at AS happened_at
-- FROM texts_all AS every
-- LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
-- WHERE counted.node IS NULL OR counted.node = every.node

CREATE OR REPLACE VIEW events AS
SELECT DISTINCT every.*, COALESCE(every.occurred_at, every.at) AS happened_at
FROM events_all AS every
LEFT JOIN run_nodes AS counted ON every.run_id = counted.run_id
WHERE counted.node IS NULL OR counted.node = every.node;
