"""Export: rows of a store, whole or narrowed, as a file that other programs read.

* `filter`: which rows, and how SQL asks for them
* `format`: as what: Parquet, CSV or JSON lines
* `lines`: a batch of rows as lines of text (needs pyarrow)
* `writing`: batches of rows → bytes, one batch at a time (needs pyarrow)
* `output`: where the bytes go: a file that is there whole or not at all, or stdout

Importing this package does not load pyarrow.
"""

from voltaware_async.stores.export.filter import Filter
from voltaware_async.stores.export.format import Format

__all__ = ["Filter", "Format"]
