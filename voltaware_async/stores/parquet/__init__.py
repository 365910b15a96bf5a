"""Parquet: a store in a folder, whose rows any tool reads as Parquet files.

    DIR/ledger.duckdb                            the ledger, and the rows of a run that is under way
    DIR/consumption/part=month-2024-07/00001.parquet
    DIR/totals/…  DIR/cycles/…  DIR/report_days/…  DIR/reports/…
    DIR/ledger/part=month-2024-07/ledger.parquet and DIR/devices.parquet, runs.parquet, expected.parquet,
    DIR/revisions.parquet                        copies, made at the end of a run

Every file has all columns of its table, in the pinned types. `part` is no column of any table: readers that
make columns of folder names (pandas, Spark, DuckDB with `hive_partitioning`) get it beside the table's own.

A batch is committed to `ledger.duckdb`, rows and ledger entries in one transaction: its rows are staged. At
the end of a run, and whenever a table has a million staged rows more, they settle: they are moved into
Parquet files. Which files count is listed in `ledger.duckdb`; a kill at any point leaves the list and the
staged rows true, and the next who opens the store for writing puts the files in order.

Who reads `DIR/<table>/**/*.parquet` sees what has settled. Only whole files stand there, and never a row
twice. While restated cells settle, the rows of their files may be missing for a moment: read between runs.

* `layout`: names and sizes of the files, as pure decisions
* `file_list`: the list of files in the ledger, and bringing the folder in line with it
* `row_views`: the rows of a table: the staged ones, and those in files
* `drafts`: writing files, beside their place
* `settling`: from staged rows to files
* `copies`: the tables that are no rows, as files
* `database`: `Database` over all this
* `folder`: opening it
"""
