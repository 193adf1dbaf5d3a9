-- The tables of a lake in Spark. Put the lake's folder or URL in the place of LAKE, and then run views.sql.
-- Spark knows the days of a table that it was told of: after an export of new days run the last lines again.

CREATE TABLE runs_all USING parquet OPTIONS (path 'LAKE/runs');
CREATE TABLE attempts_all USING parquet OPTIONS (path 'LAKE/attempts');
CREATE TABLE calls_all USING parquet OPTIONS (path 'LAKE/calls');
CREATE TABLE verdicts_all USING parquet OPTIONS (path 'LAKE/verdicts');
CREATE TABLE costs_all USING parquet OPTIONS (path 'LAKE/costs');
CREATE TABLE answers_all USING parquet OPTIONS (path 'LAKE/answers');
CREATE TABLE tools_all USING parquet OPTIONS (path 'LAKE/tools');
CREATE TABLE events_all USING parquet OPTIONS (path 'LAKE/events');

MSCK REPAIR TABLE runs_all;
MSCK REPAIR TABLE attempts_all;
MSCK REPAIR TABLE calls_all;
MSCK REPAIR TABLE verdicts_all;
MSCK REPAIR TABLE costs_all;
MSCK REPAIR TABLE answers_all;
MSCK REPAIR TABLE tools_all;
MSCK REPAIR TABLE events_all;
