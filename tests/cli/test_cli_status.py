"""`voltaware status`: what a store holds and lacks, also after runs that ended before they had asked all."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from conftest import start
from processes import wait_until

from voltaware_async import Cell, Dataset, Month, open_store
from voltaware_async.cells import Failed
from voltaware_async.errors import ErrorContext, ServerError
from voltaware_async.fleet.due import due_slices
from voltaware_async.stores.batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

STORE = ("--store", "f.duckdb")
STATUS = ("status", *STORE)
KEYS = ["dataset", "period", "landed", "absent", "failed", "never_asked", "oldest_gap"]
NIGHT = ("sync", *STORE, "--rate", "none", "--as-of", "2024-09-15")
# The six weeks since the first of August.
WEEKS = ("--dataset", "week", "--horizon-months", "1")
JULY = ("pull", *STORE, "--month", "2024-07", "--rate", "none")


class Store:
    """Ask for the status of the store, for people and as JSON."""

    def __init__(self, voltaware: Callable[..., Ended]) -> None:
        self.voltaware = voltaware

    def rows(self) -> list[dict[str, Any]]:
        """Return the coverage, and check that it is well-formed."""
        ended = self.voltaware(*STATUS, "--json")
        assert (ended.code, ended.talk) == (0, "")
        rows: list[dict[str, Any]] = json.loads(ended.out)
        assert all(list(row) == KEYS for row in rows)
        gaps = [row for row in rows if row["failed"] or row["never_asked"]]
        assert [row["oldest_gap"] for row in rows].count(True) == bool(gaps)
        return rows

    def sum(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for row in self.rows():
            total.update({name: row[name] for name in KEYS[2:6]})
        return total

    def lines(self) -> list[str]:
        ended = self.voltaware(*STATUS)
        assert ended.code == 0
        return ended.out.splitlines()


@pytest.fixture
def status(voltaware: Callable[..., Ended]) -> Store:
    return Store(voltaware)


# --- nights that did not come to all ----------------------------------------------------------------


def test_a_night_that_was_cut_off_lacks_what_it_did_not_come_to(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], status: Store
) -> None:
    """The look-ups alone take longer than it has: nothing of what is due was asked."""
    slow = serve("--devices", "40", "--latency-ms", "100").base_url
    cut_off = (*NIGHT, "--max-duration", "1s", "--concurrency", "2", "--json")
    night = json.loads(voltaware(*cut_off, VOLTAWARE_BASE_URL=slow).out)

    parts = [(str(it.dataset), str(it.period)) for it in due_slices(Dataset, date(2024, 9, 15), 3)]
    rows = status.rows()
    *_, gap, last = status.lines()

    assert (night["landed"], night["absent"]) == (0, 0)
    assert sorted((row["dataset"], row["period"]) for row in rows) == sorted(parts)
    assert sum(row["never_asked"] for row in rows) == night["unasked"] == night["planned"] > 0
    [oldest] = [row for row in rows if row["oldest_gap"]]
    assert oldest["period"] == "2024-W22", "the week that begins before June does"
    assert gap == f"oldest gap: {oldest['dataset']} 2024-W22: 0 failed, {oldest['never_asked']} never asked"
    assert last.endswith(f"out of time (0 failed, {night['unasked']} unasked)")


def test_the_night_after_closes_the_gap(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], status: Store
) -> None:
    slow = serve("--devices", "40", "--latency-ms", "100").base_url
    voltaware(*NIGHT, *WEEKS, "--max-duration", "1s", "--concurrency", "2", VOLTAWARE_BASE_URL=slow)
    before = status.sum()

    rest = json.loads(voltaware(*NIGHT, *WEEKS, "--json").out)

    after = status.sum()
    assert (before["never_asked"], after["never_asked"]) == (before.total(), 0)
    assert (after["landed"], after["absent"]) == (rest["landed"], rest["absent"])
    assert not any(row["oldest_gap"] for row in status.rows())
    assert "no gap: every cell has landed, or the API has no result" in status.lines()


@pytest.mark.parametrize("ending", ["killed", "refused"])
def test_a_first_night_that_died_while_the_devices_were_listed_has_asked_nothing(
    serve: Callable[..., Api],
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    status: Store,
    tmp_path: Path,
    ending: str,
) -> None:
    if ending == "killed":
        kill_while_listing(serve, environment, tmp_path)
    else:
        assert voltaware(*NIGHT, VOLTAWARE_CLIENT_SECRET="wrong").code == 4

    ended = voltaware(*STATUS)

    outcome = "was killed before its end; " if ending == "killed" else ": credentials refused"
    assert (ended.code, status.rows()) == (0, [])
    assert ended.talk == "voltaware: nothing has been asked yet\n"
    [line] = ended.out.splitlines()
    assert line.startswith("last run: sync, begun 2")
    assert outcome in line


def kill_while_listing(serve: Callable[..., Api], environment: dict[str, str], folder: Path) -> None:
    api = serve("--devices", "3", "--faults", "stall@sensors:1")
    with start(*NIGHT, cwd=folder, env={**environment, "VOLTAWARE_BASE_URL": api.base_url}) as process:
        assert wait_until(lambda: api.count("sensors") > 0, process)
        process.kill()
        process.communicate()


def test_a_later_night_that_died_while_the_devices_were_listed_leaves_the_coverage_as_it_was(
    serve: Callable[..., Api],
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    status: Store,
    tmp_path: Path,
) -> None:
    voltaware(*NIGHT, *WEEKS, "--quiet")
    before = status.rows()

    kill_while_listing(serve, environment, tmp_path)

    assert status.rows() == before
    assert "was killed before its end; the same command again goes on" in status.lines()[-1]


# --- which devices count ----------------------------------------------------------------------------


def test_a_pull_of_one_device_lacks_nothing_of_the_others(
    voltaware: Callable[..., Ended], status: Store
) -> None:
    voltaware(*JULY, "--device", "0001", "--quiet")

    assert [(row["dataset"], row["period"]) for row in status.rows()] == [
        (str(dataset), "2024-07") for dataset in Dataset if dataset.period_type is Month
    ]
    assert (status.sum().total(), status.sum()["never_asked"]) == (4, 0)
    assert "no gap: every cell has landed, or the API has no result" in status.lines()


def test_a_pull_of_one_device_after_a_night_of_all_lacks_the_others(
    voltaware: Callable[..., Ended], status: Store
) -> None:
    """They are known, and it is July that is asked about."""
    voltaware(*NIGHT, *WEEKS, "--quiet")
    voltaware(*JULY, "--device", "0001", "--dataset", "month", "--quiet")

    [july] = [row for row in status.rows() if row["dataset"] == "month"]

    # Of the forty one began in August.
    assert (july["landed"] + july["absent"], july["never_asked"], july["oldest_gap"]) == (1, 38, True)


def test_devices_that_are_listed_no_more_do_not_count_as_never_asked(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], status: Store
) -> None:
    few = serve("--devices", "5").base_url
    voltaware(*NIGHT, *WEEKS, "--quiet")
    before = status.sum()

    later = ("sync", *STORE, "--rate", "none", "--as-of", "2024-10-03", "--dataset", "month", *WEEKS[2:])
    night = json.loads(voltaware(*later, "--json", VOLTAWARE_BASE_URL=few).out)

    months = [row for row in status.rows() if row["dataset"] == "month"]
    assert sum(row["landed"] + row["absent"] for row in months) == night["planned"] == 5
    assert status.sum()["never_asked"] == 0
    assert status.sum()["landed"] == before["landed"] + night["landed"], "what they had landed stays"
    assert any(line.startswith("no gap") for line in status.lines())


# --- why cells failed -------------------------------------------------------------------------------


def store_with_reasons(path: Path, reasons: int) -> None:
    """Make a store in which a cell failed for each reason, and one more for the first."""
    failures = [
        Failed(
            Cell(f"{number:04d}", Dataset.MONTH, Month(2024, 7)),
            ServerError(f"broken so {number % reasons}", ErrorContext("GET", "/sm/disag/month", status=500)),
            http_status=500,
        )
        for number in range(reasons + 1)
    ]
    with open_store(path) as store:
        store.begin("run", "pull", datetime.now(UTC))
        store.commit(batch_of(failures, "run", datetime.now(UTC), date(2024, 9, 15)))
        store.finish("run", "incomplete", datetime.now(UTC), {"failed": len(failures)})


@pytest.mark.parametrize(("reasons", "shown"), [(21, 21), (99, 99), (100, 100), (140, 100)])
def test_up_to_a_hundred_reasons_are_shown_and_it_is_said_where_there_may_be_more(
    voltaware: Callable[..., Ended], tmp_path: Path, reasons: int, shown: int
) -> None:
    store_with_reasons(tmp_path / "f.duckdb", reasons)

    ended = voltaware(*STATUS, "--failed")
    objects = json.loads(voltaware(*STATUS, "--failed", "--json").out)

    head, first, *others = ended.out.splitlines()
    assert head.split() == ["cells", "example", "reason"]
    assert first.split()[:2] == ["2", "0000"]
    assert 1 + len(others) == len(objects) == shown
    assert [it["cells"] for it in objects] == [2] + [1] * (shown - 1)
    more = f"voltaware: there may be more than these {shown} reasons; ask the table ledger\n"
    assert ended.talk == (more if shown == 100 else "")


def test_a_store_with_failures_tells_how_to_see_why(status: Store, tmp_path: Path) -> None:
    store_with_reasons(tmp_path / "f.duckdb", 3)

    assert status.lines()[-3:] == [
        "oldest gap: month 2024-07: 4 failed, 0 never asked",
        next(line for line in status.lines() if line.startswith("last run: pull, begun ")),
        "why cells failed:  voltaware status --failed --store f.duckdb",
    ]
