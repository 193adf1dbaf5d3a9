-- Views over the tables of a lake, the same in DuckDB, Spark and Trino. They read `runs_all`, `attempts_all` and so on: tables over the folders
-- of `meno export LAKE --format parquet`, which duckdb.sql and spark.sql beside this file make. In Trino, make external tables with the columns
-- of the .json files here, partitioned by v and date.
--
-- Rows of runs, attempts and calls say what was known up to `as_of`: the newest row of a key counts. Rows of the other tables never change.
-- A lake may have a row twice (a store exported by two versions of its copies); each counts once.

CREATE OR REPLACE VIEW runs AS
SELECT DISTINCT every.*
FROM runs_all AS every
JOIN (SELECT node, run_id, MAX(as_of) AS as_of FROM runs_all GROUP BY node, run_id) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.as_of = newest.as_of;

CREATE OR REPLACE VIEW attempts AS
SELECT DISTINCT every.*
FROM attempts_all AS every
JOIN (SELECT node, run_id, agent, attempt, MAX(as_of) AS as_of FROM attempts_all GROUP BY node, run_id, agent, attempt) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.agent = newest.agent AND every.attempt = newest.attempt AND every.as_of = newest.as_of;

CREATE OR REPLACE VIEW calls AS
SELECT DISTINCT every.*
FROM calls_all AS every
JOIN (SELECT node, run_id, agent, attempt, call, MAX(as_of) AS as_of FROM calls_all GROUP BY node, run_id, agent, attempt, call) AS newest
  ON every.node = newest.node AND every.run_id = newest.run_id AND every.agent = newest.agent AND every.attempt = newest.attempt AND every.call = newest.call AND every.as_of = newest.as_of;

CREATE OR REPLACE VIEW verdicts AS SELECT DISTINCT * FROM verdicts_all;

CREATE OR REPLACE VIEW costs AS SELECT DISTINCT * FROM costs_all;

CREATE OR REPLACE VIEW answers AS SELECT DISTINCT * FROM answers_all;

CREATE OR REPLACE VIEW tools AS SELECT DISTINCT * FROM tools_all;

CREATE OR REPLACE VIEW events AS SELECT DISTINCT * FROM events_all;
