"""Stores: where outcomes land, as rows that people query and a ledger that remembers every cell.

* `store`: what a store can do, whichever kind it is
* `ledger`: the words of the ledger: statuses, coverage, reasons for failures
* `agenda`: which cells of a run's devices are to be asked
* `targets`: `open_store`, from a text such as `fleet.duckdb`
* `tables`, `batches`, `sightings`: the Arrow schemas, and outcomes and devices → tables, without touching a
  store (need pyarrow)
* `duckdb_*`: the embedded store, a file (needs duckdb); `holder` names the process that holds it

Importing this package loads neither pyarrow nor duckdb.
"""

from voltaware_async.stores.ledger import Coverage, FailureReason, LastRun, Status
from voltaware_async.stores.store import ApplianceShare, Store
from voltaware_async.stores.targets import open_store

__all__ = ["ApplianceShare", "Coverage", "FailureReason", "LastRun", "Status", "Store", "open_store"]
