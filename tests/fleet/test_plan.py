"""The plan: exactly the cells that were named, lazily and in a stable order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import Cell, Dataset, DeviceId, Month, Week
from voltaware_async.fleet.plan import Slice, cells, slices

MONTHS = st.builds(Month, st.integers(2020, 2026), st.integers(1, 12))
WEEKS = st.builds(Week.of, st.dates(date(2020, 1, 1), date(2026, 12, 31)))
PERIODS = st.tuples(st.lists(MONTHS, min_size=1, max_size=3), st.lists(WEEKS, min_size=1, max_size=3))
DATASETS = st.sets(st.sampled_from(Dataset), min_size=1).map(
    lambda some: [*some, Dataset.MONTH, Dataset.WEEK]
)


@given(DATASETS, PERIODS, st.lists(st.text("0123456789", min_size=1), unique=True, max_size=5))
def test_a_plan_is_every_device_with_every_matching_pair_and_each_once(
    datasets: list[Dataset], periods: tuple[list[Month], list[Week]], devices: list[DeviceId]
) -> None:
    both = [*periods[0], *periods[1]]

    planned = list(cells(slices(datasets, both), devices))

    expected = {
        Cell(device, dataset, period)
        for device in devices
        for dataset in datasets
        for period in both
        if type(period) is dataset.period_type
    }
    assert set(planned) == expected
    assert len(planned) == len(expected)


@given(DATASETS, PERIODS)
def test_older_periods_come_first_whatever_order_they_were_named_in(
    datasets: list[Dataset], periods: tuple[list[Month], list[Week]]
) -> None:
    both = [*periods[0], *periods[1]]

    planned = slices(datasets, both)

    assert planned == slices(datasets, reversed(both))
    assert [part.period.start for part in planned] == sorted(part.period.start for part in planned)


class Billion(Sequence[DeviceId]):
    """A fleet that nobody could hold."""

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: object) -> DeviceId:  # type: ignore[override]
        return DeviceId(f"{index}")


def test_a_plan_over_a_billion_devices_begins_at_once() -> None:
    planned = cells([Slice(Dataset.MONTH, Month(2024, 7))], Billion())

    assert [cell.device_id for cell in islice(planned, 2)] == ["0", "1"]


@pytest.mark.parametrize(
    ("datasets", "periods", "why"),
    [
        ([Dataset.MONTH, Dataset.WEEK], [Month(2024, 7)], "week is asked for a week, and none is named"),
        ([Dataset.WEEK], [Week.iso(2024, 28), Month(2024, 7)], "2024-07 is a month, and no dataset"),
        ([], [Month(2024, 7)], "at least one dataset and one period"),
        ([Dataset.MONTH], [], "at least one dataset and one period"),
    ],
)
def test_what_would_plan_nothing_is_refused(
    datasets: list[Dataset], periods: list[Month | Week], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        slices(datasets, periods)
