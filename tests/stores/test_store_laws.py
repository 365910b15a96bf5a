"""Any sequence of runs, pages and commits, compared with a model of three dicts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_cases import JULY, NOW, absent, batch, failed, fetched

from voltaware_async.cells import Cell, Dataset
from voltaware_async.errors import StoreError
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.cells import Outcome

DEVICES: Final = [DeviceId(name) for name in "abcdef"]
PARTS: Final = [(Dataset.MONTH, JULY), (Dataset.MONTH, JULY.next()), (Dataset.MONTH_WEEKS, JULY)]

parts = st.sampled_from(PARTS)
attempts = st.integers(min_value=1, max_value=5)
endings = st.sampled_from([fetched, absent, failed])


@st.composite
def outcomes(draw: st.DrawFn, devices: Sequence[DeviceId], part: tuple[Dataset, object]) -> list[Outcome]:
    """End some devices' cells of a part; month rows stand for any dataset's, since cells decide here."""
    chosen = draw(st.lists(st.sampled_from(devices), max_size=4)) if devices else []
    dataset, period = part
    ended: list[Outcome] = []
    for device in chosen:
        outcome = draw(endings)(device, attempts=draw(attempts))
        ended.append(evolve(outcome, cell=Cell(device, dataset, period)))
    return ended


class Runs(RuleBasedStateMachine):
    """Do to a store what a pull does, and what it must never do; the model says what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "fleet.duckdb")
        self.store = open_store(self.path)
        self.ledger: dict[Cell, tuple[str, int]] = {}
        self.devices: list[DeviceId] = []
        self.given_out: dict[tuple[Dataset, object], list[DeviceId]] = {part: [] for part in PARTS}
        self.positions: dict[tuple[Dataset, object], int] = dict.fromkeys(PARTS, -1)
        self.runs = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @initialize()
    def first_run(self) -> None:
        self.begin(DEVICES)

    @rule(devices=st.lists(st.sampled_from(DEVICES), max_size=8))
    def begin(self, devices: list[DeviceId]) -> None:
        self.runs += 1
        self.store.begin(f"run-{self.runs}", "pull", NOW, devices)
        self.devices = devices
        self.positions = dict.fromkeys(PARTS, -1)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path)
        self.given_out = {part: [] for part in PARTS}
        self.begin(self.devices)

    @rule(part=parts, limit=st.integers(min_value=1, max_value=4), again=st.booleans())
    def turn_page(self, part: tuple[Dataset, object], limit: int, *, again: bool) -> None:
        after = -1 if again else self.positions[part]
        page, last = self.store.outstanding(*part, after, limit)
        expected = self.outstanding(part, after)[:limit]
        assert list(page) == [device for _, device in expected]
        assert last == (expected[-1][0] if expected else after)
        self.positions[part] = last
        self.given_out[part] += page

    @rule(part=parts, data=st.data())
    def commit_what_was_given_out(self, part: tuple[Dataset, object], data: st.DataObject) -> None:
        ended = data.draw(outcomes(list(dict.fromkeys(self.given_out[part])), part))
        self.commit(ended)

    @rule(data=st.data())
    def commit_anything(self, data: st.DataObject) -> None:
        self.commit([one for part in PARTS for one in data.draw(outcomes(DEVICES, part))])

    def commit(self, ended: list[Outcome]) -> None:
        cells = [outcome.cell for outcome in ended]
        landed = any(self.ledger.get(cell, ("", 0))[0] == "landed" for cell in cells)
        if landed or len(set(cells)) < len(cells):
            with pytest.raises(StoreError):
                self.store.commit(batch(*ended))
            return
        self.store.commit(batch(*ended))
        for outcome in ended:
            status = {"Fetched": "landed"}.get(type(outcome).__name__, type(outcome).__name__.lower())
            before = self.ledger.get(outcome.cell, ("", 0))[1]
            self.ledger[outcome.cell] = status, before + outcome.attempts

    def outstanding(self, part: tuple[Dataset, object], after: int = -1) -> list[tuple[int, DeviceId]]:
        landed = {cell for cell, (status, _) in self.ledger.items() if status == "landed"}
        first = {device: position for position, device in reversed(list(enumerate(self.devices)))}
        numbered = sorted((position, device) for device, position in first.items())
        return [(n, device) for n, device in numbered if n > after and Cell(device, *part) not in landed]

    @invariant()
    def the_ledger_has_one_entry_per_cell_with_all_its_attempts(self) -> None:
        found = self.store.table("ledger").to_pylist()
        entries = [
            (row["device_id"], row["dataset"], row["period_start"], row["status"], row["attempts"])
            for row in found
        ]
        assert sorted(entries) == sorted(
            (cell.device_id, cell.dataset, cell.period.start, *entry) for cell, entry in self.ledger.items()
        )

    @invariant()
    def every_landed_cell_has_its_rows_once(self) -> None:
        landed = [cell for cell, (status, _) in self.ledger.items() if status == "landed"]
        for name in ("totals", "consumption"):
            found = self.store.table(name).to_pylist()
            assert sorted((row["device_id"], row["dataset"], row["period_start"]) for row in found) == sorted(
                (cell.device_id, cell.dataset, cell.period.start) for cell in landed
            )

    @invariant()
    def what_is_outstanding_is_counted(self) -> None:
        for part in PARTS:
            assert self.store.count_outstanding(*part) == len(self.outstanding(part))


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=5, stateful_step_count=25, deadline=None)
