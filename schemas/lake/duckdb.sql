-- The tables of a lake in DuckDB. Put the lake's folder or URL in the place of LAKE, and then run views.sql.

CREATE OR REPLACE VIEW runs_all AS SELECT * FROM read_parquet('LAKE/runs/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW attempts_all AS SELECT * FROM read_parquet('LAKE/attempts/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW calls_all AS SELECT * FROM read_parquet('LAKE/calls/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW verdicts_all AS SELECT * FROM read_parquet('LAKE/verdicts/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW costs_all AS SELECT * FROM read_parquet('LAKE/costs/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW answers_all AS SELECT * FROM read_parquet('LAKE/answers/v=1/*/*.parquet', hive_partitioning = true);
CREATE OR REPLACE VIEW tools_all AS SELECT * FROM read_parquet('LAKE/tools/v=1/*/*.parquet', hive_partitioning = true);
-- Only after an export with --with-payloads:
-- CREATE OR REPLACE VIEW texts_all AS SELECT * FROM read_parquet('LAKE/texts/v=1/*/*.parquet', hive_partitioning = true)

CREATE OR REPLACE VIEW events_all AS SELECT * FROM read_parquet('LAKE/events/v=1/*/*.parquet', hive_partitioning = true);
