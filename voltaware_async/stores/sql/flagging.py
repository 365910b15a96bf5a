"""What a check is made of: the rows that it flags, worded for DuckDB and PostgreSQL alike."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["CELL", "LEAST_WH", "NEGLIGIBLE_WH", "Check", "compared", "differ", "month_of"]

CELL: Final = "device_id, dataset, period_start, period_end"

# A sum differs from its total by more than 0.1 % of it, and by more than 1 Wh. The documentation's examples
# that add up are within 0.001 %; the least that one does not is 0.46 %.
_SHARE: Final = 0.001
LEAST_WH: Final = 1.0

# Below this nothing was used: the documentation shows rounding traces such as 2.3e-13 Wh.
NEGLIGIBLE_WH: Final = 0.5


@frozen
class Check:
    """Flag the rows of `source` for which `where` holds; all are SQL, and `subject` is no amount."""

    finding: str
    source: str
    where: str
    subject: str = "NULL"
    expected: str = "NULL"
    found: str = "NULL"

    @property
    def sql(self) -> str:
        """The rows of the view `checks`."""
        return f"""
SELECT
    device_id,
    dataset,
    period_start,
    period_end,
    CAST('{self.finding}' AS VARCHAR) AS finding,
    CAST({self.subject} AS VARCHAR) AS subject,
    CAST({self.expected} AS FLOAT8) AS expected,
    CAST({self.found} AS FLOAT8) AS found
FROM {self.source}
WHERE {self.where}
"""


def differ(least: str = str(LEAST_WH)) -> str:
    """Word that what was found is not what was expected; nothing at all counts as zero."""
    return f"abs(coalesce(found, 0) - expected) > greatest({least}, {_SHARE} * abs(expected))"


def compared(finding: str, source: str, where: str | None = None, subject: str = "NULL") -> Check:
    """Flag the rows of a query that has `expected` and `found` where they differ, or as `where` words it."""
    return Check(finding, f"({source}) AS compared", where or differ(), subject, "expected", "found")


def month_of(day: str) -> str:
    """Word the first day of a day's month; date_trunc would go by the time zone of the session."""
    return f"{day} - (CAST(EXTRACT(DAY FROM {day}) AS INTEGER) - 1)"
