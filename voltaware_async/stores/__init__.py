"""Stores: where outcomes land, as rows that people query and a ledger that remembers every cell.

* `store`: what a store can do, whichever kind it is
* `ledger`: the words of the ledger: statuses, coverage, reasons for failures
* `agenda`: which cells of a run's devices are to be asked
* `targets`: `open_store`, from a text such as `fleet.duckdb`
* `tables`, `batches`, `sightings`: the Arrow schemas, and outcomes and devices → tables, without touching a
  store (need pyarrow)
* `sql`: the store itself, worded once in the SQL that all its databases read
* `duckdb`, `parquet`, `postgres`: the databases: a file, a folder, a server; each needs its extra
* `holder`: the process that holds a file

Importing this package loads neither pyarrow nor duckdb.
"""

from voltaware_async.stores.ledger import Coverage, FailureReason, FindingCount, LastRun, Revision, Status
from voltaware_async.stores.store import ApplianceShare, Store
from voltaware_async.stores.targets import open_store

__all__ = [
    "ApplianceShare",
    "Coverage",
    "FailureReason",
    "FindingCount",
    "LastRun",
    "Revision",
    "Status",
    "Store",
    "open_store",
]
