"""The plan: its order is a promise, for a run that is begun again goes on where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import Dataset, DeviceId, Month, Week
from voltaware_async.fleet.plan import cells, slices

MONTHS = st.lists(st.builds(Month, st.integers(2020, 2026), st.integers(1, 12)), min_size=1, max_size=3)
WEEKS = st.lists(st.dates(date(2020, 1, 1), date(2026, 12, 31)).map(Week.of), min_size=1, max_size=3)
DATASETS = st.permutations(list(Dataset))
DEVICES = st.lists(st.text("0123456789", min_size=1).map(DeviceId), unique=True, max_size=6)


class Numbered(Sequence[DeviceId]):
    """A fleet of any size that nobody holds, and that counts how often it was looked into."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: object) -> DeviceId:  # type: ignore[override]
        self.read += 1
        return DeviceId(f"{index}")


@given(DATASETS, MONTHS, WEEKS, DEVICES)
def test_a_plan_is_the_same_each_time_and_goes_slice_by_slice_and_device_by_device(
    datasets: list[Dataset], months: list[Month], weeks: list[Week], devices: list[DeviceId]
) -> None:
    parts = slices(datasets, [*months, *weeks])

    planned = list(cells(parts, devices))

    assert planned == list(cells(slices(iter(datasets), iter([*weeks, *months])), devices))
    assert planned == [
        cell
        for part in parts
        for cell in planned
        if (cell.dataset, cell.period) == (part.dataset, part.period)
    ]
    for part in parts:
        mine = [it.device_id for it in planned if (it.dataset, it.period) == (part.dataset, part.period)]
        assert mine == devices


@given(DATASETS, MONTHS, WEEKS, DEVICES, st.integers(0, 6))
def test_a_fleet_that_is_planned_in_two_halves_is_planned_once(
    datasets: list[Dataset], months: list[Month], weeks: list[Week], devices: list[DeviceId], at: int
) -> None:
    parts = slices(datasets, [*months, *weeks])

    halves = [*cells(parts, devices[:at]), *cells(parts, devices[at:])]

    assert len(set(halves)) == len(halves)
    assert set(halves) == set(cells(parts, devices))


@given(DATASETS, MONTHS, WEEKS, st.integers(0, 50))
def test_no_device_is_looked_at_before_its_turn(
    datasets: list[Dataset], months: list[Month], weeks: list[Week], wanted: int
) -> None:
    billion = Numbered(10**9)

    planned = list(islice(cells(slices(datasets, [*months, *weeks]), billion), wanted))

    assert [it.device_id for it in planned] == [f"{n}" for n in range(wanted)]
    assert billion.read == wanted
