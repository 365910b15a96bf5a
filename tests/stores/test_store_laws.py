"""Any sequence of runs, look-ups, lists, pages and commits, compared with a model of dicts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from parquet_cases import record_of
from store_cases import JULY, NOW, WEEK_28, absent, batch, date_all, failed, lose_connection, rows_of
from store_model import Entry, Model, Sighting

from voltaware_async.cells import Cell, Dataset, Fetched, Seen
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
    (Dataset.WEEK_CYCLES, WEEK_28),
    (Dataset.MONTH_REPORT, JULY),
]
FIRST_DAY: Final = date(2024, 8, 1)
# After every first event: one that is still to come tells nothing.
SEEN_AT: Final = datetime(2024, 10, 1, tzinfo=UTC)
ASKS_AGAIN: Final[list[Callable[[Absence], bool]]] = [
    lambda _: True,
    lambda _: False,
    lambda absence: absence.http_status == 404,
    lambda absence: absence.asked_on > FIRST_DAY,
    lambda absence: absence.absent_since < absence.asked_on,
    lambda absence: absence.dataset is Dataset.MONTH,
    lambda absence: absence.period == JULY,
]
REFRESHES: Final[list[Callable[[Period], bool]]] = [
    lambda _: False,
    lambda _: True,
    lambda period: period == JULY,
]

parts = st.sampled_from(PARTS)
turns = st.sampled_from(Turn)
days = st.integers(0, 9).map(lambda n: FIRST_DAY + timedelta(days=n))
some_devices = st.lists(st.sampled_from(DEVICES), max_size=8)
agendas = st.builds(
    Agenda,
    as_of=days,
    never_asked=st.booleans(),
    minds_first_event=st.booleans(),
    asks_again=st.sampled_from(ASKS_AGAIN),
    refreshes=st.sampled_from(REFRESHES),
)
first_days = st.sampled_from(
    [None, WEEK_28.start, WEEK_28.end, WEEK_28.next().start, JULY.end, JULY.next().start, date(2024, 9, 1)]
)
states = st.sampled_from([None, "connected", "never_connected"])
zones = st.sampled_from([None, "UTC", "Europe/Berlin", "Mars/Olympus_Mons"])


@st.composite
def outcomes(draw: st.DrawFn, devices: Sequence[DeviceId], part: Part) -> list[Outcome]:
    """End some devices' cells of a part."""
    chosen = draw(st.lists(st.sampled_from(devices), max_size=4)) if devices else []
    landed = [Fetched(Cell(DeviceId(""), *part), record_of(*part, wh)) for wh in (1.0, 2.0)]
    endings = st.sampled_from([*landed, absent(""), absent("", http_status=204), failed("")])
    return [
        evolve(draw(endings), cell=Cell(device, *part), attempts=draw(st.integers(1, 5))) for device in chosen
    ]


@st.composite
def sightings(draw: st.DrawFn) -> tuple[Seen, Sighting]:
    """Look a device up; noon is on the same day wherever these clocks are."""
    state, first_day, zone = draw(states), draw(first_days), draw(zones)
    noon = first_day and datetime.combine(first_day, time(12), UTC)
    device = Device(state, first_event=noon, locale=Locale(time_zone_id=zone))
    is_dormant = state == "never_connected" and first_day is None
    return Seen(draw(st.sampled_from(DEVICES)), device), Sighting(first_day, is_dormant, time_zone=zone)


class Runs(RuleBasedStateMachine):
    """Do to a store what a pull does, and what it must never do; the model says what has to be there."""

    def __init__(self, make_target: Callable[[], str]) -> None:
        super().__init__()
        self.target = make_target()
        self.store = open_store(self.target)
        self.model = Model()
        self.given_out: dict[Part, list[DeviceId]] = {part: [] for part in PARTS}
        self.positions: dict[tuple[Part, Turn], int] = {}
        self.runs = 0
        self.now = NOW

    def teardown(self) -> None:
        self.store.close()

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

    @rule(devices=some_devices, agenda=agendas)
    def consider(self, devices: list[DeviceId], agenda: Agenda) -> None:
        self.store.consider(devices, agenda)
        self.model.consider(devices, agenda)
        self.positions = {}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.target)
        self.given_out = {part: [] for part in PARTS}
        self.begin()
        self.consider(self.model.named, self.model.agenda)

    @precondition(lambda self: self.target.startswith("postgres"))
    @rule()
    def lose_connection(self) -> None:
        lose_connection(self.store, self.target)
        self.model.consider(self.model.named, self.model.agenda)

    @rule(seen=st.lists(sightings(), min_size=1, max_size=3), as_of=days, is_listed=st.booleans())
    def see(self, seen: list[tuple[Seen, Sighting]], as_of: date, *, is_listed: bool) -> None:
        self.store.see(devices_seen([one for one, _ in seen], SEEN_AT, as_of, is_listed=is_listed))
        self.model.see([(one.device_id, it) for one, it in seen], as_of, is_listed=is_listed)

    @rule(listed_on=st.none() | days)
    def take_stock(self, listed_on: date | None) -> None:
        assert self.store.take_stock(listed_on) == self.model.take_stock(listed_on)

    @rule()
    def date_cycles(self) -> None:
        date_all(self.store)
        self.model.date_cycles()

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

    @rule(part=parts, devices=some_devices)
    def ask_what_is_known(self, part: Part, devices: list[DeviceId]) -> None:
        assert self.store.hashes(*part, devices) == self.model.hashes(part, devices)
        assert self.store.time_zones(devices) == self.model.time_zones(devices)

    @rule(part=parts, as_of=days, refreshes=st.booleans(), data=st.data())
    def commit_what_was_given_out(
        self, part: Part, as_of: date, data: st.DataObject, *, refreshes: bool
    ) -> None:
        ended = data.draw(outcomes(list(dict.fromkeys(self.given_out[part])), part))
        self.commit(ended, self.model.run_id or "elsewhere", as_of, refreshes=refreshes)

    @rule(as_of=days, is_ours=st.booleans(), refreshes=st.booleans(), data=st.data())
    def commit_anything(self, as_of: date, data: st.DataObject, *, is_ours: bool, refreshes: bool) -> None:
        ended = [one for part in PARTS for one in data.draw(outcomes(DEVICES, part))]
        run_id = (self.model.run_id if is_ours else None) or "elsewhere"
        self.commit(ended, run_id, as_of, refreshes=refreshes)

    def commit(self, ended: list[Outcome], run_id: str, as_of: date, *, refreshes: bool) -> None:
        self.now += timedelta(seconds=1)
        cells = batch(*ended, run_id=run_id, at=self.now, as_of=as_of)
        if self.model.refuses([outcome.cell for outcome in ended], refreshes=refreshes):
            with pytest.raises(StoreError):
                self.store.commit(cells, refreshes=refreshes)
            return
        restated = self.store.commit(cells, refreshes=refreshes)
        assert restated == self.model.commit(ended, run_id, self.now, as_of)

    @invariant()
    def the_ledger_has_one_entry_per_cell_with_all_its_attempts(self) -> None:
        names = (*Entry.__annotations__,)[:-1]
        found = [
            (
                row["device_id"],
                row["dataset"],
                row["period_start"],
                Entry(*(row[name] for name in names), row["total_consumption_wh"]),
            )
            for row in self.store.table("ledger").to_pylist()
        ]
        expected = [
            (cell.device_id, cell.dataset.value, cell.period.start, entry)
            for cell, entry in self.model.ledger.items()
        ]
        assert sorted(found, key=repr) == sorted(expected, key=repr)

    @invariant()
    def every_landed_cell_has_its_rows_once_and_no_other_has_any(self) -> None:
        expected = self.model.rows()
        assert {name: rows_of(self.store, name) for name in expected} == expected

    @invariant()
    def every_restatement_is_told(self) -> None:
        assert rows_of(self.store, "revisions") == sorted(self.model.revisions, key=repr)

    @invariant()
    def every_device_that_was_seen_or_listed_is_known_once(self) -> None:
        rows = self.store.table("devices").to_pylist()
        names = ("first_day", "asked_on", "unlisted_since", "time_zone_id")
        found = {row["device_id"]: tuple(row[name] for name in names) for row in rows}
        assert len(found) == len(rows)
        assert found == {
            name: (it.first_day, it.asked_on, it.unlisted_since, it.time_zone)
            for name, it in self.model.devices.items()
        }
        assert self.store.knows_devices() == bool(rows)

    @invariant()
    def every_expected_part_stands_once(self) -> None:
        expected = [
            (dataset.value, period.start, period.end, night)
            for (dataset, period), night in self.model.expected.items()
        ]
        assert rows_of(self.store, "expected") == sorted(expected, key=repr)
        assert self.store.expected_until() == self.model.expected_until()

    @invariant()
    def what_is_outstanding_is_counted(self) -> None:
        assert list(self.store.count(PARTS)) == [self.model.count(part) for part in PARTS]

    @invariant()
    def what_is_covered_is_counted(self) -> None:
        assert self.store.coverage() == self.model.coverage()


def run(make_target: Callable[[], str], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        partial(Runs, make_target),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_store_answers_as_the_model_does_whatever_happens(make_target: Callable[[], str]) -> None:
    run(make_target, 4, 25)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_store_answers_as_the_model_does_whatever_happens_for_long(make_target: Callable[[], str]) -> None:
    run(make_target, 100, 50)
