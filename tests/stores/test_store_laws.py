"""Any sequence of runs, look-ups, pages and commits, compared with a model of two dicts."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_cases import JULY, NOW, WEEK_28, absent, batch, failed, fetched

from voltaware_async.cells import Absent, Cell, Dataset, Fetched, Seen
from voltaware_async.errors import StoreError
from voltaware_async.records.devices import Device, DeviceId, Locale
from voltaware_async.stores import Coverage, open_store
from voltaware_async.stores.agenda import Absence, Agenda, Count, Turn
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
RULES: Final[list[Callable[[Absence], bool]]] = [
    lambda _: True,
    lambda _: False,
    lambda absence: absence.http_status == 404,
    lambda absence: absence.asked_on > FIRST_DAY,
    lambda absence: absence.absent_since < absence.asked_on,
    lambda absence: absence.dataset is Dataset.MONTH,
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


@frozen
class Entry:
    """What the ledger has of a cell."""

    status: str
    attempts: int
    http_status: int | None
    run_id: str
    asked_on: date
    absent_since: date | None


@frozen
class Sighting:
    """What the table `devices` has of a device; nothing but its id where it was never looked up."""

    first_day: date | None = None
    is_dormant: bool = False
    asked_on: date | None = None

    def has_data_by(self, last_day: date) -> bool:
        return not self.is_dormant and (self.first_day is None or self.first_day <= last_day)


@define
class Model:
    """Say in plain Python what a store has to answer."""

    ledger: dict[Cell, Entry] = field(factory=dict)
    devices: dict[DeviceId, Sighting] = field(factory=dict)
    run_id: str | None = None
    named: list[DeviceId] = field(factory=list)
    agenda: Agenda = field(factory=lambda: Agenda(as_of=FIRST_DAY))
    due: set[Absence] = field(factory=set)
    recalled: dict[DeviceId, Sighting] = field(factory=dict)

    def consider(self, named: list[DeviceId], agenda: Agenda) -> None:
        self.named, self.agenda = named, agenda
        absences = {it for cell, entry in self.ledger.items() if (it := _absence(cell, entry))}
        self.due = {it for it in absences if agenda.asks_again(it)}
        self.recall()

    def recall(self) -> None:
        known = {device: self.devices.get(device, Sighting()) for device in self.named}
        minds = self.agenda.minds_first_event
        self.recalled = (
            known if minds else {name: Sighting(asked_on=it.asked_on) for name, it in known.items()}
        )

    def numbered(self) -> list[tuple[int, DeviceId]]:
        first = {device: n for n, device in reversed(list(enumerate(self.named)))}
        return sorted((n, device) for device, n in first.items())

    def wants(self, turn: Turn, device: DeviceId, part: Part) -> bool:
        if not self.recalled[device].has_data_by(part[1].end):
            return False
        cell = Cell(device, *part)
        entry = self.ledger.get(cell)
        if entry is None or turn is Turn.FIRST:
            return entry is None and turn is Turn.FIRST and self.agenda.never_asked
        is_due = entry.status == "failed" or _absence(cell, entry) in self.due
        return is_due and entry.run_id != self.run_id

    def outstanding(self, part: Part, turn: Turn, after: int = -1) -> list[tuple[int, DeviceId]]:
        return [(n, it) for n, it in self.numbered() if n > after and self.wants(turn, it, part)]

    def count(self, part: Part) -> Count:
        never_asked, again = (len(self.outstanding(part, turn)) for turn in Turn)
        in_ledger = sum(Cell(device, *part) in self.ledger for _, device in self.numbered())
        return Count(*part, never_asked, again, in_ledger - again)

    def unseen(self, some: list[Part]) -> list[tuple[int, DeviceId]]:
        if not self.agenda.minds_first_event:
            return []
        lacking = [
            (n, device)
            for n, device in self.numbered()
            if any(Cell(device, *part) not in self.ledger for part in some)
        ]
        return [(n, device) for n, device in lacking if self._is_unseen(self.recalled[device])]

    def _is_unseen(self, known: Sighting) -> bool:
        if known.asked_on is None or not known.is_dormant:
            return known.asked_on is None
        age = (self.agenda.as_of - known.asked_on).days
        return age >= 7 or age < 0

    def coverage(self, expected: Sequence[Part]) -> list[Coverage]:
        shown = {(cell.dataset, cell.period) for cell in self.ledger} | set(expected)
        order = list(Dataset)
        return [
            self._covered(part) for part in sorted(shown, key=lambda it: (order.index(it[0]), it[1].start))
        ]

    def _covered(self, part: Part) -> Coverage:
        mine = {cell.device_id: it for cell, it in self.ledger.items() if (cell.dataset, cell.period) == part}
        statuses = [entry.status for entry in mine.values()]
        known = {cell.device_id: Sighting() for cell in self.ledger} | self.devices
        lacking = [it for name, it in known.items() if name not in mine and it.has_data_by(part[1].end)]
        ended = (statuses.count(status) for status in ("landed", "absent", "failed"))
        return Coverage(*part, *ended, len(lacking))

    def commit(self, ended: list[Outcome], run_id: str, as_of: date) -> None:
        for outcome in ended:
            before = self.ledger.get(outcome.cell)
            since = before.absent_since if before else None
            status = "landed" if isinstance(outcome, Fetched) else type(outcome).__name__.lower()
            if isinstance(outcome, Absent):
                since = since or as_of
            self.ledger[outcome.cell] = Entry(
                status,
                (before.attempts if before else 0) + outcome.attempts,
                200 if isinstance(outcome, Fetched) else outcome.http_status,
                run_id,
                as_of,
                None if status == "landed" else since,
            )

    def refuses(self, cells: list[Cell]) -> bool:
        landed = any(cell in self.ledger and self.ledger[cell].status == "landed" for cell in cells)
        return landed or len(set(cells)) < len(cells)


def _absence(cell: Cell, entry: Entry) -> Absence | None:
    if entry.status != "absent" or entry.http_status is None or entry.absent_since is None:
        return None
    return Absence(cell.dataset, entry.http_status, entry.absent_since, entry.asked_on)


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
        self.store.see(devices_seen([seen], NOW, as_of))
        is_dormant = state == "never_connected" and first_day is None
        self.model.devices[device] = Sighting(first_day, is_dormant, as_of)

    @rule()
    def enlist(self) -> None:
        self.store.enlist()
        for device in self.model.named:
            self.model.devices.setdefault(device, Sighting())
        self.model.recall()

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
    def every_device_that_was_seen_or_enlisted_is_known_once(self) -> None:
        rows = self.store.table("devices").to_pylist()
        found = {row["device_id"]: (row["first_day"], row["asked_on"]) for row in rows}
        assert len(found) == len(rows)
        assert found == {name: (it.first_day, it.asked_on) for name, it in self.model.devices.items()}

    @invariant()
    def what_is_outstanding_is_counted(self) -> None:
        assert list(self.store.count(PARTS)) == [self.model.count(part) for part in PARTS]

    @invariant()
    def what_is_covered_is_counted(self) -> None:
        assert self.store.coverage() == self.model.coverage([])
        assert self.store.coverage(PARTS) == self.model.coverage(PARTS)


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=6, stateful_step_count=25, deadline=None)
