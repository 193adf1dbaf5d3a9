"""Asks the questions of questions.json of a lake: `ask.py ENGINE LAKE TEMPLATE` prints the answers as JSON.

The tables are read as their users read them: with the files of schemas/lake/ in DuckDB and Spark, without in Polars.
"""
import datetime
import decimal
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
STATES = {"runs": ["node", "run_id"], "attempts": ["node", "run_id", "agent", "attempt"], "calls": ["node", "run_id", "agent", "attempt", "call"]}
FACTS = ["verdicts", "costs", "answers", "tools", "events"]
TIMED = ["calls", *FACTS]


def plain(value):
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()[:10]
    if isinstance(value, decimal.Decimal):
        return int(value)
    return value


def statements(name, lake):
    """The statements of a file of schemas/lake/, without comments."""
    lines = (ROOT / "schemas/lake" / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--")).replace("LAKE", str(lake))
    return [statement for statement in text.split(";") if statement.strip()]


def duckdb_rows(lake):
    import duckdb

    connection = duckdb.connect()
    for statement in [*statements("duckdb.sql", lake), *statements("views.sql", lake)]:
        connection.execute(statement)
    for table in TIMED:
        connection.execute(f"SELECT MAX(happened_at) FROM {table}").fetchall()
    return lambda sql: connection.execute(sql).fetchall()


def polars_rows(lake):
    import polars

    # Of stores that have the same run, the one that knows most of it.
    runs = polars.scan_parquet(f"{lake}/runs/v=1/*/*.parquet", hive_partitioning=True)
    most = runs.select("run_id", "events", polars.col("node").alias("counted")).sort("events", "counted", descending=[True, False])
    nodes = most.unique(subset="run_id", keep="first", maintain_order=True).drop("events")
    tables = {}
    for table in [*STATES, *FACTS]:
        files = polars.scan_parquet(f"{lake}/{table}/v=1/*/*.parquet", hive_partitioning=True)
        files = files.join(nodes, on="run_id", how="left")
        files = files.filter(polars.col("counted").is_null() | (polars.col("counted") == polars.col("node"))).drop("counted").unique()
        if table in STATES:
            files = files.sort("as_of").unique(subset=STATES[table], keep="last", maintain_order=True)
        tables[table] = files
    context = polars.SQLContext(tables)
    return lambda sql: context.execute(sql, eager=True).rows()


def spark_rows(lake):
    from pyspark.sql import SparkSession

    scratch = tempfile.mkdtemp()
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.warehouse.dir", scratch)
    spark = builder.config("spark.sql.shuffle.partitions", "1").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for statement in [*statements("spark.sql", lake), *statements("views.sql", lake)]:
        spark.sql(statement)
    for table in TIMED:
        spark.sql(f"SELECT MAX(happened_at) FROM {table}")
    return lambda sql: [tuple(row) for row in spark.sql(sql).collect()]


def main():
    engine, lake, template = sys.argv[1:]
    rows = {"duckdb": duckdb_rows, "polars": polars_rows, "spark": spark_rows}[engine](pathlib.Path(lake))
    answers = {}
    for question in json.loads((HERE / "questions.json").read_text()):
        found = rows(question["sql"].replace("TEMPLATE", template))
        answers[question["name"]] = [[plain(value) for value in row] for row in found]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
