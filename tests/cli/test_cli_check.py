"""`voltaware check`: what does not add up in a store, for people and for programs."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from side_by_side import side_by_side

from voltaware_async import Cell, Dataset, DeviceId, Month, open_store
from voltaware_async.cells import Absent, Fetched
from voltaware_async.records.disaggregation import ApplianceConsumption, Disaggregation
from voltaware_async.stores.batches import batch_of
from voltaware_async.stores.sql.checks import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Ended

    from voltaware_async import Outcome

STORE = ("--store", "f.duckdb")
CHECK = ("check", *STORE)
PULL = ("pull", *STORE, "--month", "2024-07", "--rate", "none", "--quiet")
COLUMNS = ["finding", "dataset", "period_start", "cells", "example"]
NOW = datetime(2024, 8, 3, 2, 30, tzinfo=UTC)
JULY = Month(2024, 7)


def land(path: Path, *outcomes: Outcome) -> None:
    with open_store(path) as store:
        store.begin("run-1", "pull", NOW)
        store.commit(batch_of(outcomes, "run-1", NOW))
        store.finish("run-1", "complete", NOW, {"planned": len(outcomes)})


def july(device: str, total_wh: float, **wh: float) -> Fetched:
    appliances = tuple(ApplianceConsumption(*pair) for pair in wh.items())
    return Fetched(Cell(DeviceId(device), Dataset.MONTH, JULY), Disaggregation(total_wh, 0.0, appliances))


def findings_of(ended: Ended) -> list[dict[str, Any]]:
    assert (ended.code, ended.talk) == (0, "")
    findings: list[dict[str, Any]] = json.loads(ended.out)
    assert all(list(it) == COLUMNS for it in findings)
    return findings


def test_a_fleets_findings_are_counted_explained_and_can_be_written_out(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    voltaware(*PULL)
    before = (tmp_path / "f.duckdb").read_bytes()

    people, programs = side_by_side(voltaware, [CHECK, (*CHECK, "--json")]).values()
    _, _, hint = people.talk.rpartition("each of them:  voltaware ")
    exported = voltaware(*shlex.split(hint))

    findings = findings_of(programs)
    head, *lines = people.out.splitlines()
    assert (people.code, head.split()) == (0, ["finding", "dataset", "period", "start", "cells", "example"])
    # Of the forty some were disconnected for days.
    rows, explained = lines[: len(findings)], lines[len(findings) :]
    assert [line.split() for line in rows] == [[str(it) for it in one.values()] for one in findings]
    assert explained == [f"disconnection: {FINDINGS['disconnection']}"]
    assert {(it["dataset"], it["period_start"]) for it in findings} == {
        (name, "2024-07-01") for name in ("month", "month_weeks", "month_report")
    }
    with open_store(tmp_path / "f.duckdb", read_only=True) as store:
        checks = store.table("checks").to_pylist()
    assert sum(it["cells"] for it in findings) == len({(it["device_id"], it["dataset"]) for it in checks}) > 0
    assert exported.code == 0
    assert (tmp_path / "checks.csv").read_text().count("\n") == 1 + len(checks)
    assert (tmp_path / "f.duckdb").read_bytes() == before, "nothing is changed"


def test_each_kind_of_finding_is_explained_once(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    land(
        tmp_path / "f.duckdb",
        july("0001", 900.0, fridge=100.0),
        july("0002", 800.0, fridge=800.0),
        july("0003", 700.0, fridge=100.0, hoverboard=1.0),
    )

    people, programs = side_by_side(voltaware, [CHECK, (*CHECK, "--json")]).values()

    assert findings_of(programs) == [
        dict(zip(COLUMNS, row, strict=True))
        for row in (
            ("appliances_sum", "month", "2024-07-01", 2, "0001"),
            ("unknown_appliance", "month", "2024-07-01", 1, "0003"),
        )
    ]
    assert people.out.splitlines()[-2:] == [
        f"{name}: {FINDINGS[name]}" for name in ("appliances_sum", "unknown_appliance")
    ]


def test_where_everything_adds_up_and_where_nothing_has_landed_is_told_apart(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    land(tmp_path / "whole.duckdb", july("0001", 800.0, fridge=800.0))
    land(tmp_path / "absent.duckdb", Absent(Cell(DeviceId("0001"), Dataset.MONTH, JULY)))
    land(tmp_path / "empty.duckdb")
    nothing = "voltaware: nothing has landed yet, so there is nothing to check\n"
    expected = {
        ("check", "--store", "whole.duckdb"): ("everything adds up\n", ""),
        ("check", "--store", "absent.duckdb"): ("", nothing),
        ("check", "--store", "empty.duckdb"): ("", nothing),
        ("check", "--store", "empty.duckdb", "--json"): ("[]\n", ""),
    }

    ended = side_by_side(voltaware, list(expected))

    assert {line: (it.out, it.talk) for line, it in ended.items()} == expected
    assert {it.code for it in ended.values()} == {0}


def test_a_store_that_is_not_there_is_not_made(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    ended = voltaware(*CHECK, "--json")

    assert (ended.code, ended.out) == (5, "")
    assert ended.talk == "voltaware: there is no store f.duckdb yet: a pull creates it\n"
    assert not list(tmp_path.iterdir())
