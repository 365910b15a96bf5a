"""Any sequence of runs, look-ups, lists, pages and commits, compared with a model of dicts."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_cases import JULY, NOW, WEEK_28, absent, batch, failed, fetched
from store_model import Entry, Model, Sighting

from voltaware_async.cells import Cell, Dataset, Seen
from voltaware_async.errors import StoreError
from voltaware_async.records.devices import Device, DeviceId, Locale
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Absence, Agenda, Turn
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voltaware_async.cells import Outcome
    from voltaware_async.periods import Period

Part: TypeAlias = "tuple[Dataset, Period]"

DEVICES: Final = [DeviceId(name) for name in "abcdef"]
PARTS: Final[list[Part]] = [
    (Dataset.MONTH, JULY),
    (Dataset.MONTH, JULY.next()),
    (Dataset.MONTH_WEEKS, JULY),
    (Dataset.WEEK, WEEK_28),
]
FIRST_DAY: Final = date(2024, 8, 1)
# After every first event: one that is still to come tells nothing.
SEEN_AT: Final = datetime(2024, 10, 1, tzinfo=UTC)
RULES: Final[list[Callable[[Absence], bool]]] = [
    lambda _: True,
    lambda _: False,
    lambda absence: absence.http_status == 404,
    lambda absence: absence.asked_on > FIRST_DAY,
    lambda absence: absence.absent_since < absence.asked_on,
    lambda absence: absence.dataset is Dataset.MONTH,
    lambda absence: absence.period == JULY,
]

parts = st.sampled_from(PARTS)
turns = st.sampled_from(Turn)
days = st.integers(0, 9).map(lambda n: FIRST_DAY + timedelta(days=n))
agendas = st.builds(
    Agenda,
    as_of=days,
    never_asked=st.booleans(),
    minds_first_event=st.booleans(),
    asks_again=st.sampled_from(RULES),
)
first_days = st.sampled_from(
    [None, WEEK_28.start, WEEK_28.end, WEEK_28.next().start, JULY.end, JULY.next().start, date(2024, 9, 1)]
)
states = st.sampled_from([None, "connected", "never_connected"])


@st.composite
def outcomes(draw: st.DrawFn, devices: Sequence[DeviceId], part: Part) -> list[Outcome]:
    """End some devices' cells of a part; month rows stand for any dataset's, since cells decide here."""
    chosen = draw(st.lists(st.sampled_from(devices), max_size=4)) if devices else []
    return [
        evolve(ending, cell=Cell(device, *part), attempts=draw(st.integers(1, 5)))
        for device in chosen
        for ending in [
            draw(st.sampled_from([fetched(""), absent(""), absent("", http_status=204), failed("")]))
        ]
    ]


class Runs(RuleBasedStateMachine):
    """Do to a store what a pull does, and what it must never do; the model says what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "fleet.duckdb")
        self.store = open_store(self.path)
        self.model = Model()
        self.given_out: dict[Part, list[DeviceId]] = {part: [] for part in PARTS}
        self.positions: dict[tuple[Part, Turn], int] = {}
        self.runs = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @initialize()
    def first_run(self) -> None:
        self.begin()
        self.consider(DEVICES, Agenda(as_of=FIRST_DAY))

    @rule()
    def begin(self) -> None:
        self.runs += 1
        self.model.run_id = f"run-{self.runs}"
        self.store.begin(self.model.run_id, "pull", NOW)
        self.positions = {}

    @rule()
    def finish(self) -> None:
        if self.model.run_id is not None:
            self.store.finish(self.model.run_id, "complete", NOW, {})
        self.model.run_id = None
        self.positions = {}

    @rule(devices=st.lists(st.sampled_from(DEVICES), max_size=8), agenda=agendas)
    def consider(self, devices: list[DeviceId], agenda: Agenda) -> None:
        self.store.consider(devices, agenda)
        self.model.consider(devices, agenda)
        self.positions = {}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path)
        self.given_out = {part: [] for part in PARTS}
        self.begin()
        self.consider(self.model.named, self.model.agenda)

    @rule(device=st.sampled_from(DEVICES), state=states, first_day=first_days, as_of=days)
    def see(self, device: DeviceId, state: str | None, first_day: date | None, as_of: date) -> None:
        noon = first_day and datetime.combine(first_day, time(12), UTC)
        seen = Seen(device, Device(state, first_event=noon, locale=Locale(time_zone_id="UTC")))
        self.store.see(devices_seen([seen], SEEN_AT, as_of))
        is_dormant = state == "never_connected" and first_day is None
        self.model.see(device, Sighting(first_day, is_dormant, as_of))

    @rule(listed_on=st.none() | days)
    def take_stock(self, listed_on: date | None) -> None:
        assert self.store.take_stock(listed_on) == self.model.take_stock(listed_on)

    @rule(some=st.lists(parts), night=st.none() | days)
    def expect(self, some: list[Part], night: date | None) -> None:
        self.store.expect(some, night)
        self.model.expect(some, night)

    @rule(some=st.lists(parts, unique=True), limit=st.integers(1, 4))
    def page_through_the_unseen(self, some: list[Part], limit: int) -> None:
        expected = self.model.unseen(some)
        assert self.store.count_unseen(some) == len(expected)
        after = -1
        while expected:
            page, after = self.store.unseen(after, limit)
            assert (list(page), after) == (
                [device for _, device in expected[:limit]],
                expected[:limit][-1][0],
            )
            expected = expected[limit:]
        assert self.store.unseen(after, limit) == ([], after)

    @rule(part=parts, turn=turns, limit=st.integers(1, 4), again=st.booleans())
    def turn_page(self, part: Part, turn: Turn, limit: int, *, again: bool) -> None:
        after = -1 if again else self.positions.get((part, turn), -1)
        page, last = self.store.outstanding(*part, turn, after, limit)
        expected = self.model.outstanding(part, turn, after)[:limit]
        assert list(page) == [device for _, device in expected]
        assert last == (expected[-1][0] if expected else after)
        self.positions[part, turn] = last
        self.given_out[part] += page

    @rule(part=parts, as_of=days, data=st.data())
    def commit_what_was_given_out(self, part: Part, as_of: date, data: st.DataObject) -> None:
        ended = data.draw(outcomes(list(dict.fromkeys(self.given_out[part])), part))
        self.commit(ended, self.model.run_id or "elsewhere", as_of)

    @rule(as_of=days, is_ours=st.booleans(), data=st.data())
    def commit_anything(self, as_of: date, data: st.DataObject, *, is_ours: bool) -> None:
        ended = [one for part in PARTS for one in data.draw(outcomes(DEVICES, part))]
        self.commit(ended, (self.model.run_id if is_ours else None) or "elsewhere", as_of)

    def commit(self, ended: list[Outcome], run_id: str, as_of: date) -> None:
        cells = batch(*ended, run_id=run_id, as_of=as_of)
        if self.model.refuses([outcome.cell for outcome in ended]):
            with pytest.raises(StoreError):
                self.store.commit(cells)
            return
        self.store.commit(cells)
        self.model.commit(ended, run_id, as_of)

    @invariant()
    def the_ledger_has_one_entry_per_cell_with_all_its_attempts(self) -> None:
        names = ("status", "attempts", "http_status", "run_id", "asked_on", "absent_since")
        found = [
            (row["device_id"], row["dataset"], row["period_start"], Entry(*(row[name] for name in names)))
            for row in self.store.table("ledger").to_pylist()
        ]
        expected = [
            (cell.device_id, cell.dataset, cell.period.start, entry)
            for cell, entry in self.model.ledger.items()
        ]
        assert sorted(found, key=repr) == sorted(expected, key=lambda it: repr((it[0], str(it[1]), *it[2:])))

    @invariant()
    def every_landed_cell_has_its_rows_once(self) -> None:
        landed = [cell for cell, entry in self.model.ledger.items() if entry.status == "landed"]
        for name in ("totals", "consumption"):
            found = self.store.table(name).to_pylist()
            assert sorted((row["device_id"], row["dataset"], row["period_start"]) for row in found) == sorted(
                (cell.device_id, cell.dataset, cell.period.start) for cell in landed
            )

    @invariant()
    def every_device_that_was_seen_or_listed_is_known_once(self) -> None:
        rows = self.store.table("devices").to_pylist()
        found = {row["device_id"]: (row["first_day"], row["asked_on"], row["unlisted_since"]) for row in rows}
        assert len(found) == len(rows)
        assert found == {
            name: (it.first_day, it.asked_on, it.unlisted_since) for name, it in self.model.devices.items()
        }
        assert self.store.knows_devices() == bool(rows)

    @invariant()
    def every_expected_part_stands_once(self) -> None:
        found = [tuple(row.values()) for row in self.store.table("expected").to_pylist()]
        expected = [
            (dataset.value, period.start, period.end, night)
            for (dataset, period), night in self.model.expected.items()
        ]
        assert sorted(found, key=repr) == sorted(expected, key=repr)
        assert self.store.expected_until() == self.model.expected_until()

    @invariant()
    def what_is_outstanding_is_counted(self) -> None:
        assert list(self.store.count(PARTS)) == [self.model.count(part) for part in PARTS]

    @invariant()
    def what_is_covered_is_counted(self) -> None:
        assert self.store.coverage() == self.model.coverage()


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=6, stateful_step_count=25, deadline=None)
