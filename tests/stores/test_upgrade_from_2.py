"""A store of the release before: it is renewed in one transaction, and goes on where it stopped.

`format_2.duckdb.gz` was written by that release: a sync of 8 devices of the sandbox as of 2024-09-15, with a
horizon of two months, for which the API failed with every cell of the dataset `week`.
"""

from __future__ import annotations

import gzip
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pytest
from store_cases import date_all

from voltaware_async.cells import Cell, Dataset, Fetched
from voltaware_async.errors import StoreError
from voltaware_async.periods import Month
from voltaware_async.records.devices import DeviceId, Locale
from voltaware_async.records.disaggregation import ApplianceConsumption, ApplianceCycles, Disaggregation
from voltaware_async.records.local_clock import localized
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.batches import batch_of
from voltaware_async.stores.parts import period_of
from voltaware_async.stores.sql import format as store_format
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.cells import Record
    from voltaware_async.stores import Store

pytestmark = pytest.mark.skipif(
    int(duckdb.__version__.partition(".")[0]) < 2, reason="the sample is a file of DuckDB 2"
)

SAMPLE: Final = Path(__file__).parent / "samples" / "format_2.duckdb.gz"
COUNTS: Final = {
    "consumption": 1218,
    "totals": 199,
    "cycles": 219,
    "ledger": 304,
    "devices": 8,
    "expected": 38,
    "runs": 1,
}
ADDED: Final = {"report_days": 0, "reports": 0, "revisions": 0}
CYCLES: Final = (Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES)
AUGUST: Final = Month(2024, 8)
EVERYBODY: Final = [DeviceId(f"000{number}") for number in range(1, 9)]
NEXT_NIGHT: Final = datetime(2024, 9, 16, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def earlier() -> bytes:
    return gzip.decompress(SAMPLE.read_bytes())


@pytest.fixture
def path(tmp_path: Path, earlier: bytes) -> Path:
    path = tmp_path / "fleet.duckdb"
    path.write_bytes(earlier)
    return path


def rows(path: Path, table: str, columns: Sequence[str] = ("*",)) -> list[tuple[Any, ...]]:
    """Return rows in their order, as DuckDB itself reads them."""
    with closing(duckdb.connect(path, read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()


def columns_of(path: Path, table: str) -> list[str]:
    with closing(duckdb.connect(path, read_only=True)) as connection:
        return connection.table(table).columns


def counts(store: Store) -> dict[str, int]:
    return {name: store.table(name).num_rows for name in TABLES}


def test_every_row_of_the_earlier_store_stays(path: Path) -> None:
    columns = {name: columns_of(path, name) for name in COUNTS}
    before = {name: sorted(rows(path, name), key=repr) for name in COUNTS}

    with open_store(path) as store:
        assert counts(store) == {**COUNTS, **ADDED}
        assert {name: store.table(name).schema for name in TABLES} == TABLES

    assert {name: sorted(rows(path, name, columns[name]), key=repr) for name in COUNTS} == before
    assert rows(path, "voltaware_store") == [(3,)]


def test_landed_cells_have_the_total_of_their_rows_and_no_hash_and_the_others_have_neither(
    path: Path,
) -> None:
    with open_store(path) as store:
        ledger = store.table("ledger").to_pylist()
        totals = {
            tuple(row.values())[:4]: row["total_consumption_wh"] for row in store.table("totals").to_pylist()
        }
        used: dict[tuple[object, ...], float] = {}
        for row in store.table("consumption").to_pylist():
            key = tuple(row.values())[:4]
            used[key] = used.get(key, 0.0) + row["consumption_wh"]

    landed = [row for row in ledger if row["status"] == "landed"]
    assert len(landed) == 207
    for row in landed:
        key = tuple(row.values())[:4]
        expected = used.get(key, 0.0) if row["dataset"] in CYCLES else totals[key]
        assert row["total_consumption_wh"] == pytest.approx(expected, rel=1e-12), key
    assert {row["content_hash"] for row in ledger} == {None}
    assert {row["total_consumption_wh"] for row in ledger if row["status"] != "landed"} == {None}


def test_cycles_get_the_instants_that_their_devices_time_zones_tell(path: Path) -> None:
    with open_store(path) as store:
        assert store.table("cycles").column("start_utc").null_count == COUNTS["cycles"]
        before = rows_without_instants(store)

        date_all(store)

        zones = {row["device_id"]: row["time_zone_id"] for row in store.table("devices").to_pylist()}
        assert len(set(zones.values())) == 3
        assert rows_without_instants(store) == before
        for row in store.table("cycles").to_pylist():
            zone = Locale(time_zone_id=zones[row["device_id"]]).tz
            cycle = localized(row["start_local"], row["end_local"], zone)
            assert (row["start_utc"], row["end_utc"], row["ambiguous"]) == (cycle.start, cycle.end, False)


def rows_without_instants(store: Store) -> list[str]:
    cycles = store.table("cycles").drop_columns(["start_utc", "end_utc", "ambiguous"])
    return sorted(map(repr, cycles.to_pylist()))


def test_the_views_show_what_had_landed(path: Path) -> None:
    with open_store(path) as store:
        assert {name: store.table(name).schema for name in VIEWS} == VIEWS
        weeks = [it for it in store.coverage() if it.dataset is Dataset.WEEK]
        assert len(store.coverage()) == COUNTS["expected"]
        assert sum(it.landed + it.absent + it.failed for it in store.coverage()) == COUNTS["ledger"]
        assert sum(it.failed for it in weeks) == 80
        fridges = [it for it in store.table("monthly_kwh").to_pylist() if it["appliance_key"] == "fridge"]
        assert [it["period_start"] for it in sorted(fridges, key=lambda it: str(it["period_start"]))] == [
            date(2024, 7, 1),
            date(2024, 8, 1),
        ]
        charged = store.table("ev_charging_by_hour").to_pylist()
        assert sum(it["cycles"] for it in charged) > 0
        assert "zone_unknown" in {it.finding for it in store.findings()}
        date_all(store)
        assert "zone_unknown" not in {it.finding for it in store.findings()}


def test_the_runs_of_the_earlier_store_come_before_those_to_come(path: Path) -> None:
    with open_store(path) as store:
        store.begin("next", "sync", NEXT_NIGHT)
        assert [(row["command"], row["number"]) for row in store.table("runs").to_pylist()] == [
            ("sync", 1),
            ("sync", 2),
        ]
        last = store.last_run()
        assert last is not None
        assert last.started_at == NEXT_NIGHT


def test_the_next_run_asks_only_what_had_not_landed(path: Path) -> None:
    with open_store(path) as store:
        failed = [(it.dataset, it.period) for it in store.coverage() if it.failed]
        store.begin("next", "sync", NEXT_NIGHT)
        store.consider(EVERYBODY, Agenda(as_of=NEXT_NIGHT.date(), minds_first_event=True))
        assert store.count_unseen([(it.dataset, it.period) for it in store.coverage()]) == 0
        assert sum(count.planned for count in store.count(failed)) == 80
        assert store.outstanding(*failed[0], Turn.AGAIN, -1, 99)[0] == EVERYBODY


def landed_before(store: Store, dataset: Dataset) -> list[Fetched]:
    """Return the landed cells of August as they would be fetched again, unchanged."""
    used = [row for row in store.table("consumption").to_pylist() if row["dataset"] == dataset.value]
    totals = {row["device_id"]: row for row in store.table("totals").to_pylist() if is_august(row, dataset)}
    landed = [
        row["device_id"]
        for row in store.table("ledger").to_pylist()
        if row["status"] == "landed" and is_august(row, dataset)
    ]
    return [
        Fetched(
            Cell(DeviceId(device), dataset, AUGUST),
            record_of(
                [row for row in used if row["device_id"] == device and is_august(row, dataset)],
                totals.get(device),
            ),
        )
        for device in landed
    ]


def is_august(row: dict[str, Any], dataset: Dataset) -> bool:
    return row["dataset"] == dataset.value and period_of(dataset, row["period_start"]) == AUGUST


def record_of(used: list[dict[str, Any]], total: dict[str, Any] | None) -> Record:
    """Make a record of what landed; cycles have no total of their own, and come in any order."""
    if total is None:
        return tuple(ApplianceCycles(row["appliance_key"], row["consumption_wh"], ()) for row in used[::-1])
    appliances = tuple(ApplianceConsumption(row["appliance_key"], row["consumption_wh"]) for row in used)
    return Disaggregation(total["total_consumption_wh"], total["disconnection_percentage"], appliances)


@pytest.mark.parametrize("dataset", [Dataset.MONTH, Dataset.MONTH_CYCLES])
def test_what_is_asked_once_more_and_has_not_changed_is_no_revision_and_gets_its_hash(
    path: Path, dataset: Dataset
) -> None:
    with open_store(path) as store:
        again = landed_before(store, dataset)
        assert len(again) > 3
        hashes = store.hashes(dataset, AUGUST, EVERYBODY)
        assert hashes == {one.cell.device_id: None for one in again}

        assert store.commit(batch_of(again, "next", NEXT_NIGHT), refreshes=True) == 0

        assert counts(store) | {"cycles": 0} == {**COUNTS, **ADDED, "cycles": 0}
        assert None not in store.hashes(dataset, AUGUST, EVERYBODY).values()


@pytest.mark.parametrize("dataset", [Dataset.MONTH, Dataset.MONTH_CYCLES])
def test_what_is_asked_once_more_and_has_another_total_is_a_revision(path: Path, dataset: Dataset) -> None:
    with open_store(path) as store:
        again = landed_before(store, dataset)
        other: Record = Disaggregation(1.0, 0.0, ())
        if dataset is Dataset.MONTH_CYCLES:
            other = (ApplianceCycles("electric_vehicle", 1.0, ()),)
        restated = [Fetched(one.cell, other) for one in again]

        assert store.commit(batch_of(restated, "next", NEXT_NIGHT), refreshes=True) == len(again)

        assert {it.new_total_wh for it in store.revisions(limit=99)} == {1.0}


def test_a_reader_refuses_an_earlier_store_with_what_to_do_and_leaves_it_as_it_is(
    path: Path, earlier: bytes
) -> None:
    with pytest.raises(StoreError, match="has the earlier format 2: the next pull or sync renews it"):
        open_store(path, read_only=True)
    assert path.read_bytes() == earlier
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("step", [0, 6, len(store_format.UPGRADES[2]) - 1])
def test_an_upgrade_that_is_interrupted_leaves_the_earlier_store_for_the_next_to_renew(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = {name: rows(path, name) for name in COUNTS}
    steps = [*store_format.UPGRADES[2]]
    with monkeypatch.context() as broken:
        broken.setitem(store_format.UPGRADES, 2, (*steps[: step + 1], "SELECT error('the disk is full')"))
        with pytest.raises(StoreError, match="the disk is full"):
            open_store(path)

    assert rows(path, "voltaware_store") == [(2,)]
    assert {name: rows(path, name) for name in COUNTS} == before
    with open_store(path) as store:
        assert counts(store) == {**COUNTS, **ADDED}
