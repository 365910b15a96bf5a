"""A store in plain Python: what it has to answer after any sequence of runs."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define, evolve, field, frozen

from voltaware_async.cells import Absent, Cell, Dataset, Fetched
from voltaware_async.records.disaggregation import Disaggregation, MonthByWeeks
from voltaware_async.records.reports import Report
from voltaware_async.stores import Coverage
from voltaware_async.stores.agenda import Absence, Agenda, Count, Turn
from voltaware_async.stores.batches import arrow_tables
from voltaware_async.stores.content import content_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from store_cases import Rows

    from voltaware_async.cells import Outcome, Record
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId

Part: TypeAlias = "tuple[Dataset, Period]"


@frozen
class Entry:
    """What the ledger has of a cell."""

    status: str
    attempts: int
    http_status: int | None
    run_id: str
    asked_on: date
    absent_since: date | None
    content_hash: int | None
    wh: float | None


@frozen
class Sighting:
    """What the table `devices` has of a device; nothing but its id where it was never looked up."""

    first_day: date | None = None
    is_dormant: bool = False
    asked_on: date | None = None
    time_zone: str | None = None
    unlisted_since: date | None = None

    def has_data_by(self, last_day: date) -> bool:
        return not self.is_dormant and (self.first_day is None or self.first_day <= last_day)

    def is_to_be_looked_up(self, oldest_end: date, as_of: date) -> bool:
        if self.asked_on is None or self.has_data_by(oldest_end):
            return self.asked_on is None
        age = (as_of - self.asked_on).days
        return age >= 7 or age < 0


@define
class Model:
    """Say in plain Python what a store has to answer."""

    ledger: dict[Cell, Entry] = field(factory=dict)
    records: dict[Cell, Record] = field(factory=dict)
    dated: dict[Cell, ZoneInfo] = field(factory=dict)
    revisions: Rows = field(factory=list)
    devices: dict[DeviceId, Sighting] = field(factory=dict)
    expected: dict[Part, date | None] = field(factory=dict)
    run_id: str | None = None
    named: list[DeviceId] = field(factory=list)
    agenda: Agenda = field(factory=lambda: Agenda(as_of=date(2024, 8, 1)))
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

    def take_stock(self, listed_on: date | None) -> int:
        self.recall()
        if listed_on is None:
            return 0
        for device in self.named:
            self.devices[device] = evolve(self.devices.get(device, Sighting()), unlisted_since=None)
        gone = {name: it for name, it in self.devices.items() if name not in self.named}
        newly = {
            name: evolve(it, unlisted_since=listed_on) for name, it in gone.items() if not it.unlisted_since
        }
        self.devices |= newly
        return len(newly)

    def expect(self, some: list[Part], night: date | None) -> None:
        for part in some:
            self.expected[part] = self.expected.get(part) or night

    def expected_until(self) -> dict[Dataset, date]:
        until: dict[Dataset, date] = {}
        for (dataset, period), night in self.expected.items():
            if night:
                until[dataset] = max(until.get(dataset, period.end), period.end)
        return until

    def see(self, seen: Sequence[tuple[DeviceId, Sighting]], as_of: date, *, is_listed: bool) -> None:
        new = Sighting(unlisted_since=None if is_listed else as_of)
        before = {device: self.devices.get(device, new).unlisted_since for device, _ in seen}
        for device, sighting in seen:
            self.devices[device] = evolve(sighting, asked_on=as_of, unlisted_since=before[device])

    def time_zones(self, devices: Sequence[DeviceId]) -> dict[DeviceId, str | None]:
        known = {device: self.devices[device] for device in devices if device in self.devices}
        return {device: it.time_zone for device, it in known.items() if it.asked_on}

    def date_cycles(self) -> None:
        for cell in self.records.keys() - self.dated.keys():
            zone = _zone(self.devices.get(cell.device_id, Sighting()).time_zone)
            if zone is not None and cell.dataset in {Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES}:
                self.dated[cell] = zone

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
        if turn is Turn.REFRESH:
            is_due = entry.status == "landed" and self.agenda.refreshes(part[1])
        else:
            is_due = entry.status == "failed" or _absence(cell, entry) in self.due
        return is_due and entry.run_id != self.run_id

    def outstanding(self, part: Part, turn: Turn, after: int = -1) -> list[tuple[int, DeviceId]]:
        return [(n, it) for n, it in self.numbered() if n > after and self.wants(turn, it, part)]

    def count(self, part: Part) -> Count:
        never_asked, again, refresh = (len(self.outstanding(part, turn)) for turn in Turn)
        in_ledger = sum(Cell(device, *part) in self.ledger for _, device in self.numbered())
        return Count(*part, never_asked, again, in_ledger - again - refresh, refresh)

    def unseen(self, some: list[Part]) -> list[tuple[int, DeviceId]]:
        if not self.agenda.minds_first_event:
            return []
        lacking = [
            (n, device)
            for n, device in self.numbered()
            if any(Cell(device, *part) not in self.ledger for part in some)
        ]
        oldest_end = min((period.end for _, period in some), default=date.max)
        return [
            (n, device)
            for n, device in lacking
            if self.recalled[device].is_to_be_looked_up(oldest_end, self.agenda.as_of)
        ]

    def coverage(self) -> list[Coverage]:
        shown = {(cell.dataset, cell.period) for cell in self.ledger} | self.expected.keys()
        order = list(Dataset)
        return [
            self._covered(part) for part in sorted(shown, key=lambda it: (order.index(it[0]), it[1].start))
        ]

    def _covered(self, part: Part) -> Coverage:
        mine = {cell.device_id: it for cell, it in self.ledger.items() if (cell.dataset, cell.period) == part}
        statuses = [entry.status for entry in mine.values()]
        of_ledger = {cell.device_id: Sighting() for cell in self.ledger}
        listed = {name: it for name, it in self.devices.items() if not it.unlisted_since}
        known = (listed or of_ledger).items()
        lacking = [it for name, it in known if name not in mine and it.has_data_by(part[1].end)]
        ended = (statuses.count(status) for status in ("landed", "absent", "failed"))
        return Coverage(*part, *ended, len(lacking))

    def hashes(self, part: Part, devices: Sequence[DeviceId]) -> dict[DeviceId, int | None]:
        asked = {device: self.ledger.get(Cell(device, *part)) for device in devices}
        return {device: it.content_hash for device, it in asked.items() if it and it.status == "landed"}

    def commit(self, ended: Sequence[Outcome], run_id: str, at: datetime, as_of: date) -> int:
        """Return how many cells were restated."""
        before = len(self.revisions)
        for outcome in ended:
            self._end(outcome, run_id, at, as_of)
        return len(self.revisions) - before

    def _end(self, outcome: Outcome, run_id: str, at: datetime, as_of: date) -> None:
        cell = outcome.cell
        before = self.ledger.get(cell)
        since = before.absent_since if before else None
        if isinstance(outcome, Absent):
            since = min(since or as_of, as_of)
        record = outcome.record if isinstance(outcome, Fetched) else None
        entry = self.ledger[cell] = Entry(
            "landed" if isinstance(outcome, Fetched) else type(outcome).__name__.lower(),
            (before.attempts if before else 0) + outcome.attempts,
            200 if isinstance(outcome, Fetched) else outcome.http_status,
            run_id,
            as_of,
            None if record is not None else since,
            None if record is None else content_hash(record),
            None if record is None else _wh(record),
        )
        self.records.pop(cell, None)
        self.dated.pop(cell, None)
        if record is None:
            return
        self.records[cell] = record
        if before and before.status == "landed" and before.content_hash != entry.content_hash:
            key = cell.device_id, cell.dataset.value, cell.period.start, cell.period.end
            values = before.wh, entry.wh, before.content_hash, entry.content_hash
            self.revisions.append((*key, at, run_id, *values))

    def refuses(self, cells: Sequence[Cell], *, refreshes: bool) -> bool:
        landed = any(cell in self.records for cell in cells)
        return (landed and not refreshes) or len(set(cells)) < len(cells)

    def rows(self) -> dict[str, Rows]:
        """Return the rows of the tables that hold records."""
        landed = [Fetched(cell, record) for cell, record in self.records.items()]
        undated = [it for it in landed if it.cell not in self.dated]
        found = [arrow_tables(undated)]
        found += [
            arrow_tables([it], {it.cell.device_id: self.dated[it.cell]})
            for it in landed
            if it.cell in self.dated
        ]
        return {
            name: sorted((tuple(row.values()) for one in found for row in one[name].to_pylist()), key=repr)
            for name in found[0]
        }


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except ZoneInfoNotFoundError:
        return None


def _wh(record: Record) -> float:
    match record:
        case Disaggregation() | MonthByWeeks():
            return record.total_consumption
        case Report():
            return record.disaggregation_metrics.total_consumption
        case _:
            return sum(appliance.total_consumption for appliance in record)


def _absence(cell: Cell, entry: Entry) -> Absence | None:
    if entry.status != "absent" or entry.http_status is None or entry.absent_since is None:
        return None
    return Absence(cell.dataset, cell.period, entry.http_status, entry.absent_since, entry.asked_on)
