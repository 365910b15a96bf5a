"""What PostgreSQL wants beside a table to answer a store's questions without reading all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["INDEXES"]

# Rows have no primary key: a store holds what the API sent, also if that is the same cycle twice.
_OF_ROWS: Final = (
    # Of one device, and of a cell that is restated.
    "CREATE INDEX ON {table} (device_id, dataset, period_start)",
    # Of a period: it landed together, so that a few bytes per megabyte tell where it is.
    "CREATE INDEX ON {table} USING brin (period_start, period_end) WITH (autosummarize = on)",
)

INDEXES: Final[Mapping[str, Sequence[str]]] = {
    "ledger": (
        "ALTER TABLE ledger ADD PRIMARY KEY (dataset, period_start, period_end, device_id)",
        # What failed or was absent is asked again, and is little among what landed.
        "CREATE INDEX ON ledger (status, dataset, period_start) WHERE status <> 'landed'",
    ),
    "devices": ("ALTER TABLE devices ADD PRIMARY KEY (device_id)",),
    "expected": ("ALTER TABLE expected ADD PRIMARY KEY (dataset, period_start, period_end)",),
    "runs": ("ALTER TABLE runs ADD PRIMARY KEY (run_id)",),
    "revisions": ("CREATE INDEX ON revisions (revised_at)",),
    **{table: tuple(index.format(table=table) for index in _OF_ROWS) for table in ROWS},
    "cycles": (
        *(index.format(table="cycles") for index in _OF_ROWS),
        # What waits for its device's time zone is looked for at every run, and is little.
        "CREATE INDEX ON cycles (device_id) WHERE start_utc IS NULL",
    ),
}
