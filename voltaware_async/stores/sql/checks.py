"""The view `checks`: what cannot be right in the rows that landed, one row per finding.

Rows are flagged, never changed and never left out: a store holds what the API sent. `expected` is the total
that parts should add up to, or the limit that a value passed; `found` is the sum or the value, and null where
there is nothing to add up. Both are Wh, but for the days of a report (the report's own unit), percentages,
hours, and counts. `subject` is an appliance's key or a day.

Every finding is a query of its own over the tables: whoever asks for one finding, dataset or period pays for
that one only. Nothing here is shared by a common table expression, which would keep a reader's filters away
from the tables.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from voltaware_async.records.disaggregation import ApplianceKey
from voltaware_async.stores.sql.flagging import CELL, NEGLIGIBLE_WH, Check, month_of
from voltaware_async.stores.sql.sum_checks import REPORTS, SUMS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHECKS", "CHECKS_SUMMARY", "FINDINGS"]

FINDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appliances_sum": "the appliances do not add up to the total",
        "weeks_sum": "the weeks of a month do not add up to its total",
        "weeks_against_month": "the month by weeks has another total than the month",
        "cycles_sum": "an appliance's cycles do not add up to its total",
        "cycles_against_appliance": "an appliance's cycles have another total than the appliance",
        "days_sum": "the days of a report do not add up to its total",
        "week_days_and_weekends": "week days and weekends of a report do not add up to its total",
        "max_day": "the day of most consumption has another value among the days, or is missing",
        "min_day": "the day of least consumption has another value among the days, or is missing",
        "report_total": "the report's days and its disaggregation have different totals",
        "unit_unknown": "the total of a report's days is neither the Wh nor the kWh of its disaggregation",
        "day_outside_period": "a day of a report is not in its period",
        "disconnection": "the device was disconnected for more than a tenth of the period",
        "disconnection_range": "the disconnection is no percentage",
        "negative": "a consumption is below zero",
        "absurd": "a consumption is more than a home or small business, or a charger, can draw",
        "absurd_duration": "a cycle lasts longer than its period",
        "unknown_appliance": "the appliance's key is not documented",
        "duplicate_appliance": "the same appliance stands twice in one result",
        "cycle_ends_before_start": "a cycle ends before it starts",
        "ambiguous_time": "a cycle's local time occurred twice, or never, when clocks changed",
        "zone_unknown": "the cycles have no instants, as the device's time zone is not known",
        "week_outside_month": "a week does not lie in any month that was asked",
    }
)

# Percent. The usual bar for metered periods is nine tenths of the readings (CalTRACK 2.2, data sufficiency):
# with fewer, the total understates what was used by about as much, a hundred times what sums may differ by.
_DISCONNECTION_LIMIT: Final = 10.0

# What homes and small businesses are connected by carries less: 3 x 125 A at 230 V are 86 kW, 400 A at 240 V
# are 96 kW.
_POWER_LIMIT_W: Final = 100_000
_DAY_LIMIT_WH: Final = _POWER_LIMIT_W * 24

# The fastest public chargers give 400 kW, and no home has one.
_CHARGING_LIMIT_W: Final = 500_000
# A charge may cross both edges of its period, but hardly by more than a day each.
_OVERHANG_DAYS: Final = 2

_DAYS: Final = "CAST(greatest(period_end - period_start + 1, 1) AS FLOAT8)"
# Local readings count only where the instants are not known: they jump when clocks change.
_HOURS: Final = """
coalesce(
    date_part('epoch', end_utc) - date_part('epoch', start_utc),
    date_part('epoch', end_local) - date_part('epoch', start_local)
) / 3600
"""

_DISCONNECTIONS: Final = (
    Check(
        "disconnection",
        "totals",
        f"disconnection_percentage > {_DISCONNECTION_LIMIT} AND disconnection_percentage <= 100",
        expected=str(_DISCONNECTION_LIMIT),
        found="disconnection_percentage",
    ),
    Check(
        "disconnection_range",
        "totals",
        "disconnection_percentage < 0 OR disconnection_percentage > 100",
        expected="CASE WHEN disconnection_percentage < 0 THEN 0 ELSE 100 END",
        found="disconnection_percentage",
    ),
)


def _negative(table: str, column: str, subject: str = "NULL") -> Check:
    """Flag what is below zero by more than a rounding trace."""
    where = f"{column} < -{NEGLIGIBLE_WH}"
    return Check("negative", table, where, subject, f"-{NEGLIGIBLE_WH}", column)


def _absurd(table: str, column: str, days: str = _DAYS, subject: str = "NULL") -> Check:
    """Flag a mean power over the period that is beyond the limit."""
    limit = f"{_DAY_LIMIT_WH} * {days}"
    # The first condition follows from the second, and lets DuckDB skip what it need not read.
    where = f"{column} > {_DAY_LIMIT_WH} AND {column} > {limit}"
    return Check("absurd", table, where, subject, limit, column)


_AMOUNTS: Final = (
    _negative("totals", "total_consumption_wh"),
    _negative("consumption", "consumption_wh", "appliance_key"),
    _negative("cycles", "consumption_wh", "appliance_key"),
    _negative("report_days", "consumption_wh", "day"),
    _absurd("totals", "total_consumption_wh"),
    _absurd("consumption", "consumption_wh", subject="appliance_key"),
    _absurd("report_days", "consumption_wh", days="1", subject="day"),
)

_TIMED_CYCLES: Final = f"""(
    SELECT {CELL}, appliance_key, consumption_wh, {_HOURS} AS hours FROM cycles
) AS timed"""
_CYCLE_LIMIT_HOURS: Final = f"24 * ({_DAYS} + {_OVERHANG_DAYS})"

_CYCLES: Final = (
    # A cycle without duration may use nothing; one of negative duration is flagged as such.
    Check(
        "absurd",
        _TIMED_CYCLES,
        f"hours >= 0 AND consumption_wh > greatest({_CHARGING_LIMIT_W} * hours, {NEGLIGIBLE_WH})",
        "appliance_key",
        f"{_CHARGING_LIMIT_W} * hours",
        "consumption_wh",
    ),
    Check(
        "absurd_duration",
        _TIMED_CYCLES,
        f"hours > {_CYCLE_LIMIT_HOURS}",
        "appliance_key",
        _CYCLE_LIMIT_HOURS,
        "hours",
    ),
    Check("cycle_ends_before_start", _TIMED_CYCLES, "hours < 0", "appliance_key", "0", "hours"),
    Check("ambiguous_time", "cycles", "ambiguous", "appliance_key"),
    Check(
        "zone_unknown",
        f"""(
    SELECT {CELL}, count(*) AS cycles_without FROM cycles WHERE start_utc IS NULL GROUP BY {CELL}
) AS cells""",
        "true",
        expected="0",
        found="cycles_without",
    ),
)

_KNOWN_KEYS: Final = ", ".join(f"'{key}'" for key in ApplianceKey)

# The cells in which a documented appliance stands twice: there, and only there, the sum of the keys' bits is
# more than their union. To count each appliance of each cell instead takes the memory of all that landed.
_BIT: Final = " ".join(f"WHEN '{key}' THEN {1 << number}" for number, key in enumerate(ApplianceKey))
_BITS: Final = f"CASE appliance_key {_BIT} ELSE 0 END"
_CELLS_WITH_TWINS: Final = (
    f"SELECT {CELL} FROM consumption GROUP BY {CELL} HAVING sum({_BITS}) <> bit_or({_BITS})"
)


def _counted(where: str) -> str:
    """Word how often each appliance stands in its cell."""
    return f"""(
    SELECT {CELL}, appliance_key, count(*) AS times
    FROM consumption
    WHERE {where}
    GROUP BY {CELL}, appliance_key
) AS counted"""


# IN and not JOIN: DuckDB counts before it joins.
_DOCUMENTED: Final = _counted(f"appliance_key IN ({_KNOWN_KEYS}) AND ({CELL}) IN ({_CELLS_WITH_TWINS})")
_OTHERS: Final = _counted(f"appliance_key NOT IN ({_KNOWN_KEYS})")
# The weeks' consumption goes by the same periods as their totals.
_IN_NO_MONTH: Final = f"""
dataset = 'month_weeks'
AND NOT EXISTS (
    SELECT 1
    FROM ledger AS months
    WHERE months.dataset = 'month_weeks'
    AND months.device_id = totals.device_id
    AND months.period_start = {month_of("totals.period_start")}
    AND months.period_end >= totals.period_end
)
"""

_KEYS: Final = (
    Check("unknown_appliance", "consumption", f"appliance_key NOT IN ({_KNOWN_KEYS})", "appliance_key"),
    Check("duplicate_appliance", _DOCUMENTED, "times > 1", "appliance_key", "1", "times"),
    Check("duplicate_appliance", _OTHERS, "times > 1", "appliance_key", "1", "times"),
    Check("week_outside_month", "totals", _IN_NO_MONTH),
)

CHECKS: Final = "UNION ALL".join(
    check.sql for check in (*SUMS, *REPORTS, *_DISCONNECTIONS, *_AMOUNTS, *_CYCLES, *_KEYS)
)

# How many cells each finding is about, the most first, and one device to look at. Texts are ordered by their
# characters, whatever the order of the database.
CHECKS_SUMMARY: Final = """
SELECT
    dataset,
    period_start,
    finding,
    count(DISTINCT device_id) AS cells,
    min(device_id COLLATE "C") AS example
FROM checks
GROUP BY dataset, period_start, finding
ORDER BY cells DESC, dataset COLLATE "C", period_start, finding COLLATE "C"
"""
