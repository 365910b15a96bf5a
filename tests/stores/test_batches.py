from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from store_cases import (
    JULY,
    NOW,
    TODAY,
    WEEK_28,
    absent,
    batch,
    cell,
    failed,
    fetched,
    fetched_as,
    month_of,
    rows,
)

from voltaware_async.cells import Absent, Dataset, Failed, Fetched
from voltaware_async.errors import ConfigurationError, VoltawareError
from voltaware_async.protocol import codec
from voltaware_async.records.devices import DeviceId
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    ApplianceKey,
    Cycle,
    Disaggregation,
    MonthByWeeks,
    WeekOfMonth,
)
from voltaware_async.records.reports import DayByDayMetrics, Report
from voltaware_async.stores.batches import BatchBuilder, arrow_tables, batch_of
from voltaware_async.stores.content import content_hash
from voltaware_async.stores.tables import ROWS, TABLES

if TYPE_CHECKING:
    from datetime import tzinfo

    from voltaware_async.cells import Outcome
    from voltaware_async.stores.batches import Batch

SAMPLES: Final = Path(__file__).parents[1] / "samples"
JULY_DAYS: Final = date(2024, 7, 1), date(2024, 7, 31)
WEEK_DAYS: Final = date(2024, 7, 8), date(2024, 7, 14)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


DOCUMENTED: Final[dict[Dataset, Fetched]] = {
    Dataset.MONTH: fetched_as(Dataset.MONTH, JULY, codec.DISAGGREGATION.decode(sample("month"))),
    Dataset.MONTH_WEEKS: fetched_as(
        Dataset.MONTH_WEEKS, JULY, codec.MONTH_BY_WEEKS.decode(sample("month_weeks"))
    ),
    Dataset.WEEK: fetched_as(Dataset.WEEK, WEEK_28, codec.DISAGGREGATION.decode(sample("week"))),
    Dataset.MONTH_CYCLES: fetched_as(Dataset.MONTH_CYCLES, JULY, codec.CYCLES.decode(sample("month_cycles"))),
    Dataset.WEEK_CYCLES: fetched_as(Dataset.WEEK_CYCLES, WEEK_28, codec.CYCLES.decode(sample("week_cycles"))),
    Dataset.MONTH_REPORT: fetched_as(
        Dataset.MONTH_REPORT, JULY, codec.MONTH_REPORT.decode(sample("month_report"))
    ),
    Dataset.WEEK_REPORT: fetched_as(
        Dataset.WEEK_REPORT, WEEK_28, codec.WEEK_REPORT.decode(sample("week_report"))
    ),
}


def test_a_month_becomes_a_row_per_appliance_and_a_total() -> None:
    landed = batch(fetched("0001", fridge=45081.336, washing=0.0))
    assert rows(landed, "consumption") == [
        ("0001", "month", *JULY_DAYS, "fridge", 45081.336),
        ("0001", "month", *JULY_DAYS, "washing", 0.0),
    ]
    assert rows(landed, "totals") == [("0001", "month", *JULY_DAYS, 45081.336, 14.3)]
    assert rows(landed, "cycles") == []


def test_a_week_has_its_monday_and_sunday_as_its_period() -> None:
    landed = batch(fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0)))
    assert rows(landed, "consumption") == [("0001", "week", *WEEK_DAYS, "fridge", 1.0)]
    assert rows(landed, "totals") == [("0001", "week", *WEEK_DAYS, 1.0, 14.3)]


def test_each_clipped_week_of_a_month_is_the_period_of_its_rows_and_the_month_has_a_total_of_its_own() -> (
    None
):
    partial = WeekOfMonth(date(2024, 7, 29), date(2024, 7, 31), 3.0, (ApplianceConsumption("fridge", 2.5),))
    record = MonthByWeeks(9.0, 1.5, (partial, WeekOfMonth(*WEEK_DAYS, 6.0, ())))
    landed = batch(fetched_as(Dataset.MONTH_WEEKS, JULY, record))
    days = date(2024, 7, 29), date(2024, 7, 31)
    assert rows(landed, "consumption") == [("0001", "month_weeks", *days, "fridge", 2.5)]
    assert rows(landed, "totals") == [
        ("0001", "month_weeks", *JULY_DAYS, 9.0, 1.5),
        ("0001", "month_weeks", *days, 3.0, None),
        ("0001", "month_weeks", *WEEK_DAYS, 6.0, None),
    ]
    assert len(landed) == 1
    assert rows(landed, "ledger")[0][:4] == ("0001", "month_weeks", *JULY_DAYS)


def test_a_report_lands_the_appliances_and_total_of_its_disaggregation() -> None:
    landed = batch(DOCUMENTED[Dataset.MONTH_REPORT])
    assert {row[1] for row in rows(landed, "consumption")} == {"month_report"}
    record = codec.MONTH_REPORT.decode(sample("month_report")).disaggregation_metrics
    assert rows(landed, "totals") == [
        ("0001", "month_report", *JULY_DAYS, record.total_consumption, record.disconnection_percentage)
    ]


def test_cycles_become_a_row_each_and_the_appliances_total_one_of_consumption() -> None:
    landed = batch(DOCUMENTED[Dataset.MONTH_CYCLES])
    key = "0001", "month_cycles", *JULY_DAYS, "electric_vehicle"
    night, evening = datetime(2024, 7, 12, 0, 32, 53), datetime(2024, 7, 12, 20, 17, 24)  # noqa: DTZ001 - readings
    until = datetime(2024, 7, 12, 4, 29, 10), datetime(2024, 7, 12, 22, 48, 14)  # noqa: DTZ001 - readings
    assert rows(landed, "cycles") == [
        (*key, night, until[0], None, None, None, 838.8944702148438),
        (*key, evening, until[1], None, None, None, 1078.1705322265625),
    ]
    assert rows(landed, "consumption") == [(*key, 1917.0650024414062)]
    assert rows(landed, "totals") == []


def test_a_cycle_with_an_offset_keeps_its_clock_reading() -> None:
    start = datetime(2024, 7, 12, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    cycle = Cycle(start, start + timedelta(hours=1), 5.0)
    landed = batch(
        fetched_as(Dataset.MONTH_CYCLES, JULY, (ApplianceCycles("electric_vehicle", 5.0, (cycle,)),))
    )
    assert landed.tables["cycles"].column("start_local").to_pylist() == [start.replace(tzinfo=None)]


def cycles_between(start: datetime, end: datetime) -> Fetched:
    record = (ApplianceCycles("electric_vehicle", 5.0, (Cycle(start, end, 5.0),)),)
    return fetched_as(Dataset.MONTH_CYCLES, JULY, record)


def instants(outcome: Fetched, zone: tzinfo | None) -> tuple[object, ...]:
    """Return what the row of the only cycle says of its instants."""
    builder = BatchBuilder()
    builder.add(outcome, zone)
    landed = builder.batch("run-1", NOW)
    [row] = rows(landed, "cycles")
    return row[7:10]


BERLIN: Final = ZoneInfo("Europe/Berlin")
EVENING: Final = datetime(2024, 10, 26, 23, 30)  # noqa: DTZ001 - readings
TWICE: Final = datetime(2024, 10, 27, 2, 30)  # noqa: DTZ001
OFFSET: Final = timezone(timedelta(hours=-3))


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        (EVENING, EVENING, BERLIN, ("2024-10-26T21:30Z", "2024-10-26T21:30Z", False)),
        (EVENING, TWICE, BERLIN, ("2024-10-26T21:30Z", "2024-10-27T00:30Z", True)),
        (EVENING, TWICE, UTC, ("2024-10-26T23:30Z", "2024-10-27T02:30Z", False)),
        (EVENING, TWICE, None, (None, None, None)),
        (
            EVENING.replace(tzinfo=OFFSET),
            TWICE.replace(tzinfo=OFFSET),
            None,
            ("2024-10-27T02:30Z", "2024-10-27T05:30Z", False),
        ),
        (
            EVENING.replace(tzinfo=OFFSET),
            TWICE.replace(tzinfo=OFFSET),
            BERLIN,
            ("2024-10-27T02:30Z", "2024-10-27T05:30Z", False),
        ),
        (EVENING.replace(tzinfo=OFFSET), TWICE, None, (None, None, None)),
        (EVENING, TWICE.replace(tzinfo=OFFSET), None, (None, None, None)),
        (EVENING, TWICE.replace(tzinfo=OFFSET), UTC, ("2024-10-26T23:30Z", "2024-10-27T05:30Z", False)),
    ],
)
def test_a_cycle_has_its_instants_where_a_zone_or_its_offsets_tell_them(
    start: datetime, end: datetime, zone: tzinfo | None, expected: tuple[str | bool | None, ...]
) -> None:
    found = tuple(datetime.fromisoformat(it) if isinstance(it, str) else it for it in expected)
    assert instants(cycles_between(start, end), zone) == found


def test_each_cell_has_the_zone_of_its_own_device() -> None:
    builder = BatchBuilder()
    for zone in (None, BERLIN, UTC):
        builder.add(cycles_between(EVENING, EVENING), zone)
    assert [row[7] for row in rows(builder.batch("run-1", NOW), "cycles")] == [
        None,
        datetime(2024, 10, 26, 21, 30, tzinfo=UTC),
        datetime(2024, 10, 26, 23, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize("record", [(), (ApplianceCycles("electric_vehicle", 0.0, ()),)])
def test_a_cell_without_cycles_lands_without_cycle_rows(record: tuple[ApplianceCycles, ...]) -> None:
    landed = batch(fetched_as(Dataset.MONTH_CYCLES, JULY, record))
    assert rows(landed, "cycles") == []
    assert len(rows(landed, "consumption")) == len(record)
    assert landed.ledger.column("status").to_pylist() == ["landed"]


def test_absent_and_failed_cells_have_no_rows() -> None:
    ended = batch(absent("0001"), failed("0002"))
    assert {name: table.num_rows for name, table in ended.tables.items()} == {
        **dict.fromkeys(ROWS, 0),
        "ledger": 2,
    }


def test_the_ledger_has_a_row_per_cell_with_how_it_ended() -> None:
    gone = Absent(cell("0002"), http_status=204, attempts=2)
    ended = batch(fetched("0001", attempts=3), gone, failed("0003", attempts=4), run_id="run-7")
    assert [row[4:-2] for row in rows(ended, "ledger")] == [
        ("landed", 3, 200, None, "run-7", NOW, TODAY, None),
        ("absent", 2, 204, None, "run-7", NOW, TODAY, TODAY),
        (
            "failed",
            4,
            500,
            "the API broke (GET /sm/disag/month, device 0003, status 500, after 4 attempts)",
            "run-7",
            NOW,
            TODAY,
            None,
        ),
    ]


@pytest.mark.parametrize(
    ("dataset", "total_wh"),
    [
        (Dataset.MONTH, 416951.0),
        (Dataset.WEEK, 416951.0),
        (Dataset.MONTH_WEEKS, 550764.0),
        (Dataset.MONTH_CYCLES, 1917.0650024414062),
        (Dataset.WEEK_CYCLES, 1917.0650024414062),
        (Dataset.MONTH_REPORT, 13706.82),
        (Dataset.WEEK_REPORT, 13706.82),
    ],
)
def test_the_ledger_has_the_total_of_what_landed_and_the_hash_of_what_it_says(
    dataset: Dataset, total_wh: float
) -> None:
    landed = batch(DOCUMENTED[dataset])
    assert landed.ledger.column("total_consumption_wh").to_pylist() == [total_wh]
    assert landed.ledger.column("content_hash").to_pylist() == [content_hash(DOCUMENTED[dataset].record)]


def test_the_total_of_cycles_is_the_sum_of_their_appliances() -> None:
    record = (ApplianceCycles("electric_vehicle", 5.0, ()), ApplianceCycles("boiler", 2.5, ()))
    landed = batch(
        fetched_as(Dataset.MONTH_CYCLES, JULY, record), fetched_as(Dataset.WEEK_CYCLES, WEEK_28, ())
    )
    assert landed.ledger.column("total_consumption_wh").to_pylist() == [7.5, 0.0]


def test_cells_without_a_result_have_neither_a_total_nor_a_hash() -> None:
    ended = batch(absent("0001"), failed("0002"))
    assert [row[-2:] for row in rows(ended, "ledger")] == [(None, None)] * 2


def test_updated_at_is_the_same_instant_in_utc_whatever_zone_it_was_given_in() -> None:
    ended = batch_of([absent("1")], "r", NOW.astimezone(timezone(timedelta(hours=-7))))
    assert ended.ledger.column("updated_at").to_pylist() == [NOW]
    assert ended.ledger.schema.field("updated_at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("as_of", "asked_on"), [(None, date(2024, 8, 3)), (date(2024, 8, 1), date(2024, 8, 1))]
)
def test_cells_are_asked_as_of_the_runs_day_and_without_one_as_of_the_day_in_utc(
    as_of: date | None, asked_on: date
) -> None:
    evening_before = NOW.astimezone(timezone(timedelta(hours=-7)))
    ended = batch_of([fetched("1"), absent("2"), failed("3")], "r", evening_before, as_of)
    assert ended.ledger.column("asked_on").to_pylist() == [asked_on] * 3
    assert ended.ledger.column("absent_since").to_pylist() == [None, asked_on, None]


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        batch_of([], "r", datetime(2024, 8, 3))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("two\nlines\r\nand\ttab\u2028s", "two lines and tab s"),
        ("", "ConfigurationError"),
        ("cut \udcff off", "cut \\udcff off"),
        ("x" * 900, "x" * 500),
        ("\udcff" * 300, ("\\udcff" * 84)[:500]),
    ],
)
def test_an_error_is_stored_as_one_bounded_line_of_unicode(text: str, stored: str) -> None:
    ended = batch(Failed(cell("1"), ConfigurationError(text)))
    assert ended.ledger.column("error").to_pylist() == [stored]
    assert ended.ledger.column("http_status").to_pylist() == [None]


@given(st.text(st.characters(), max_size=700))
@settings(max_examples=50, deadline=None)
def test_any_error_text_can_be_stored(text: str) -> None:
    ended = batch(Failed(cell("1"), VoltawareError(text)))
    [stored] = ended.ledger.column("error").to_pylist()
    assert stored
    assert len(stored) <= 500
    assert len(stored.splitlines()) == 1


def test_a_device_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        batch(absent("\udcff"))


def test_two_entries_of_one_appliance_stay_two_rows() -> None:
    twice = (ApplianceConsumption(ApplianceKey.FRIDGE, 1.0), ApplianceConsumption("fridge", 2.0))
    landed = batch(Fetched(cell("1"), Disaggregation(3.0, 0.0, twice)))
    assert [row[-2:] for row in rows(landed, "consumption")] == [("fridge", 1.0), ("fridge", 2.0)]


def test_no_outcomes_make_an_empty_batch_of_the_same_types() -> None:
    empty = batch()
    assert len(empty) == 0
    assert set(empty.tables) == {*ROWS, "ledger"}
    assert all(table.schema == TABLES[name] for name, table in empty.tables.items())


def test_a_batch_travels_to_another_process() -> None:
    sent = batch(*DOCUMENTED.values())
    assert pickle.loads(pickle.dumps(sent)) == sent  # noqa: S301 - our own bytes


def test_whole_numbers_and_nulls_do_not_decide_a_type() -> None:
    landed = batch(Fetched(cell("1"), Disaggregation(0, 0, (ApplianceConsumption("fridge", 0),))))
    assert all(table.schema == TABLES[name] for name, table in landed.tables.items())


# All that may be missing is, and every number is zero.
BARE_REPORT: Final = Report(DayByDayMetrics(0, 0.0, 0.0, 0.0, ()), Disaggregation(0.0, 0.0, ()))
IN_ANY_ORDER: Final[list[Outcome]] = [
    *DOCUMENTED.values(),
    fetched_as(Dataset.MONTH_REPORT, JULY.next(), BARE_REPORT),
    absent("0002"),
    failed("0003"),
    fetched("0004", fridge=0),
]


@given(st.permutations(IN_ANY_ORDER))
@settings(max_examples=25, deadline=None)
def test_the_documented_examples_have_the_same_types_and_sums_in_any_order(outcomes: list[Outcome]) -> None:
    landed = batch(*outcomes)
    assert len(landed) == len(outcomes)
    assert all(table.schema == TABLES[name] for name, table in landed.tables.items())
    assert sorted(column(landed, "consumption", "consumption_wh")) == sorted(documented_consumption())
    assert sum(column(landed, "cycles", "consumption_wh")) == pytest.approx(documented_cycles())
    days = documented_days()
    assert sorted(column(landed, "report_days", "reported_consumption")) == sorted(days)
    assert sum(column(landed, "report_days", "consumption_wh")) == pytest.approx(sum(days) * 1000)
    assert sorted(column(landed, "reports", "total_consumption_wh")) == pytest.approx([13706.71, 13706.71])
    assert sorted(column(landed, "reports", "reported_max_consumption")) == [0.46071, 0.46071]


def column(landed: Batch, name: str, column_name: str) -> list[float]:
    return [it for it in landed.tables[name].column(column_name).to_pylist() if it is not None]


def documented_consumption() -> list[float]:
    """Collect the energies of appliances from the replies themselves, and of the one other cell: 0."""
    values: list[float] = [0]
    for name in ("month", "week"):
        values += [one.consumption for one in codec.DISAGGREGATION.decode(sample(name)).appliances]
    for week in codec.MONTH_BY_WEEKS.decode(sample("month_weeks")).weeks:
        values += [one.consumption for one in week.appliances]
    for name in ("month_cycles", "week_cycles"):
        values += [one.total_consumption for one in codec.CYCLES.decode(sample(name))]
    reports = (
        codec.MONTH_REPORT.decode(sample("month_report")),
        codec.WEEK_REPORT.decode(sample("week_report")),
    )
    for report in reports:
        values += [one.consumption for one in report.disaggregation_metrics.appliances]
    return values


def documented_days() -> list[float]:
    reports = (
        codec.MONTH_REPORT.decode(sample("month_report")),
        codec.WEEK_REPORT.decode(sample("week_report")),
    )
    return [day.total_consumption for report in reports for day in report.days]


def documented_cycles() -> float:
    replies = [codec.CYCLES.decode(sample(name)) for name in ("month_cycles", "week_cycles")]
    return sum(cycle.consumption for reply in replies for one in reply for cycle in one.cycles)


def test_instants_are_kept_to_the_microsecond() -> None:
    at = datetime(2024, 8, 3, 2, 30, 0, 123456, tzinfo=UTC)
    assert batch_of([absent("1")], "r", at).ledger.column("updated_at").to_pylist() == [at]


# --- tables without a store ---------------------------------------------------------------------------


def test_the_outcomes_of_a_pull_become_the_tables_of_a_store_without_its_ledger() -> None:
    outcomes = [*DOCUMENTED.values(), absent("0002"), failed("0003")]
    tables = arrow_tables(outcomes)
    assert dict(tables) == {name: batch(*outcomes).tables[name] for name in ROWS}


def test_no_outcomes_become_empty_tables_of_the_same_types() -> None:
    assert {name: table.schema for name, table in arrow_tables(iter(())).items()} == dict(ROWS)


def test_cycles_of_a_pull_have_instants_where_the_zone_of_their_device_is_given() -> None:
    """A device without a locale has no zone."""
    cycles = cycles_between(EVENING, EVENING)
    zoneless = evolve(cycles, cell=evolve(cycles.cell, device_id=DeviceId("0002")))
    found = arrow_tables([zoneless, cycles], {cycles.cell.device_id: BERLIN})["cycles"]
    assert found.column("device_id").to_pylist() == ["0002", "0001"]
    assert found.column("start_utc").to_pylist() == [None, datetime(2024, 10, 26, 21, 30, tzinfo=UTC)]
    assert found.column("ambiguous").to_pylist() == [None, False]
    assert found.column("start_local").to_pylist() == [EVENING, EVENING]
