"""What the documentation's own examples break, figure by figure.

Month and week have the same figures, which are those of another home than the cycles', the reports' and the
weeks'.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from sql_rows import (
    JULY,
    WEEK_28,
    view,
)

from voltaware_async.cells import Cell, Dataset, Fetched
from voltaware_async.periods import Month, Week
from voltaware_async.protocol import codec
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.batches import batch_of

if TYPE_CHECKING:
    from sql_rows import Database

    from voltaware_async.cells import Record
    from voltaware_async.periods import Period

SAMPLES: Final = Path(__file__).parents[1] / "samples"
SEPTEMBER: Final = date(2023, 9, 1), date(2023, 9, 30)


def land(database: Database, dataset: Dataset, period: Period, record: Record) -> None:
    """Land a record as a pull does."""
    outcome = Fetched(Cell(DeviceId("0001"), dataset, period), record)
    batch = batch_of([outcome], "run-1", datetime(2024, 8, 3, tzinfo=UTC))
    for table, rows in batch.tables.items():
        database.append(table, rows)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def test_the_documented_month_adds_up(database: Database) -> None:
    land(database, Dataset.MONTH, Month(2024, 7), codec.DISAGGREGATION.decode(sample("month")))

    assert view(database, "checks") == [
        ("0001", "month", *JULY, "disconnection", None, 10.0, 14.3),
    ]


def test_the_documented_week_adds_up(database: Database) -> None:
    land(database, Dataset.WEEK, Week(date(2024, 7, 8)), codec.DISAGGREGATION.decode(sample("week")))

    assert view(database, "checks") == [
        ("0001", "week", *WEEK_28, "disconnection", None, 10.0, 14.3),
    ]


def test_two_of_the_documented_weeks_of_a_month_do_not_add_up(database: Database) -> None:
    land(database, Dataset.MONTH_WEEKS, Month(2023, 9), codec.MONTH_BY_WEEKS.decode(sample("month_weeks")))

    third = date(2023, 9, 11), date(2023, 9, 17)
    fifth = date(2023, 9, 25), date(2023, 9, 30)
    disconnection, in_third, in_fifth = view(database, "checks")
    assert disconnection == ("0001", "month_weeks", *SEPTEMBER, "disconnection", None, 10.0, 14.3)
    assert in_third[:7] == ("0001", "month_weeks", *third, "appliances_sum", None, 111_977.0)
    assert in_third[7] == pytest.approx(111_977.0 - 513.003)
    assert in_fifth[:7] == ("0001", "month_weeks", *fifth, "appliances_sum", None, 140_229.0)
    assert in_fifth[7] == pytest.approx(140_229.0 - 8_830.998)


def test_the_documented_weeks_lie_outside_of_any_other_month(database: Database) -> None:
    land(database, Dataset.MONTH_WEEKS, Month(2024, 7), codec.MONTH_BY_WEEKS.decode(sample("month_weeks")))

    outside = [row[2] for row in view(database, "checks") if row[4] == "week_outside_month"]
    assert outside == [date(2023, 9, day) for day in (1, 4, 11, 18, 25)]


@pytest.mark.parametrize(
    ("dataset", "period", "days", "name"),
    [
        (Dataset.MONTH_CYCLES, Month(2024, 7), JULY, "month"),
        (Dataset.WEEK_CYCLES, Week(date(2024, 7, 8)), WEEK_28, "week"),
    ],
)
def test_the_documented_cycles_add_up_and_are_far_from_the_documented_appliance(
    database: Database, dataset: Dataset, period: Period, days: tuple[date, date], name: str
) -> None:
    land(database, dataset, period, codec.CYCLES.decode(sample(f"{name}_cycles")))
    zone_unknown = ("0001", f"{name}_cycles", *days, "zone_unknown", None, 0.0, 2.0)
    assert view(database, "checks") == [zone_unknown]

    land(database, Dataset(name), period, codec.DISAGGREGATION.decode(sample(name)))
    [disconnection, against_appliance, *others] = view(database, "checks")
    assert disconnection == ("0001", name, *days, "disconnection", None, 10.0, 14.3)
    assert against_appliance == (
        *("0001", f"{name}_cycles", *days),
        *("cycles_against_appliance", "electric_vehicle", 197_148.0, 1917.0650024414062),
    )
    assert others == [zone_unknown]


def test_the_documented_month_report_contradicts_itself(database: Database) -> None:
    land(database, Dataset.MONTH_REPORT, Month(2024, 7), codec.MONTH_REPORT.decode(sample("month_report")))

    cell = ("0001", "month_report", *JULY)
    assert view(database, "checks") == [
        (*cell, "days_sum", None, 13.70671, pytest.approx(13.58655)),
        (*cell, "disconnection", None, 10.0, 14.3),
        (*cell, "max_day", "2024-07-23", 0.46071, 0.43952),
        (*cell, "min_day", "2024-07-24", 0.40534, 0.43846),
    ]


def test_the_documented_week_report_contradicts_itself(database: Database) -> None:
    report = codec.WEEK_REPORT.decode(sample("week_report"))
    land(database, Dataset.WEEK_REPORT, Week(date(2024, 7, 8)), report)

    cell = ("0001", "week_report", *WEEK_28)
    assert view(database, "checks") == [
        (*cell, "days_sum", None, 13.70671, pytest.approx(3.0695)),
        (*cell, "disconnection", None, 10.0, 14.3),
        (*cell, "max_day", "2024-07-11", 0.46071, 0.43126),
        (*cell, "min_day", "2024-07-13", 0.40534, 0.44847),
    ]
