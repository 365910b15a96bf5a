"""Stores: where outcomes land, as rows that people query and a ledger that remembers every cell.

* `store`: what a store can do, whichever kind it is
* `ledger`: the words of the ledger: statuses, coverage, reasons for failures
* `targets`: `open_store`, from a text such as `fleet.duckdb`
* `tables`, `batches`: the Arrow schemas, and outcomes → tables, without touching a store (need pyarrow)
* `duckdb_*`: the embedded store, a file (needs duckdb)

Importing this package loads neither pyarrow nor duckdb.
"""

from voltaware_async.stores.ledger import Coverage, FailureReason, Status
from voltaware_async.stores.store import ApplianceShare, Store
from voltaware_async.stores.targets import open_store

__all__ = ["ApplianceShare", "Coverage", "FailureReason", "Status", "Store", "open_store"]
