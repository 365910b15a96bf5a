"""Laws of the synthetic fleet: whatever the device and the period, its results agree with one another."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voltaware_async.sandbox import Fleet
from voltaware_async.sandbox.shapes import Disaggregation, Share
from voltaware_async.sandbox.spans import Dataset, Span, monday_of

TODAY = date(2024, 9, 15)
FLEET = Fleet(devices=2000, seed=7, today=TODAY)
TWIN = Fleet(devices=2000, seed=7, today=TODAY)
LATE_FLEET = Fleet(devices=2000, seed=7, today=TODAY, late_share=0.5)
WH_FLEET = Fleet(devices=2000, seed=7, today=TODAY, report_unit="Wh")

device_ids = st.integers(1, 2000).map("{:04d}".format)
drivers = st.sampled_from(
    [it for it in FLEET.device_ids() if (home := FLEET.household(it)) and home.owns("electric_vehicle")]
)
months = st.tuples(st.integers(2021, 2024), st.integers(1, 12))
mondays = st.dates(date(2021, 1, 1), TODAY).map(monday_of)
few = settings(max_examples=60, deadline=None)


def same(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def by_key(shares: Iterable[Share]) -> dict[str, float]:
    return {share["appliance_key"]: share["consumption"] for share in shares if share["consumption"]}


def month_or_skip(device_id: str, month: tuple[int, int]) -> Disaggregation:
    result = FLEET.month(device_id, *month)
    assume(result is not None)
    assert result is not None
    return result


@given(device_ids, months)
@few
def test_a_total_is_the_sum_of_its_appliances(device_id: str, month: tuple[int, int]) -> None:
    result = month_or_skip(device_id, month)
    assert sum(share["consumption"] for share in result["appliances"]) == same(result["total_consumption"])
    assert 0 <= result["disconnection_percentage"] <= 100


@given(device_ids, months)
@few
def test_the_clipped_weeks_make_up_the_month(device_id: str, month: tuple[int, int]) -> None:
    result = month_or_skip(device_id, month)
    weeks = FLEET.month_weeks(device_id, *month)
    assert weeks is not None
    assert weeks["total_consumption"] == result["total_consumption"]
    assert weeks["disconnection_percentage"] == result["disconnection_percentage"]
    assert sum(week["total_consumption"] for week in weeks["weeks"]) == same(result["total_consumption"])
    sums = Counter[str]()
    for week in weeks["weeks"]:
        sums.update(by_key(week["appliances"]))
    assert dict(sums) == pytest.approx(by_key(result["appliances"]))


@given(device_ids, months)
@few
def test_the_clipped_weeks_cover_the_month_without_a_gap(device_id: str, month: tuple[int, int]) -> None:
    weeks = FLEET.month_weeks(device_id, *month)
    assume(weeks is not None)
    assert weeks is not None
    edges = [(date.fromisoformat(week["from"]), date.fromisoformat(week["to"])) for week in weeks["weeks"]]
    span = Span.month(*month)
    assert (edges[0][0].toordinal(), edges[-1][1].toordinal()) == (span.first, span.last)
    for (_, end), (start, _) in pairwise(edges):
        assert (end.weekday(), start.weekday(), start - end) == (6, 0, timedelta(days=1))


@given(device_ids, mondays)
@few
def test_a_week_is_what_its_days_are_in_the_report(device_id: str, monday: date) -> None:
    week, report = WH_FLEET.week(device_id, monday), WH_FLEET.week_report(device_id, monday)
    assert (week is None) == (report is None)
    assume(week is not None)
    assert week is not None
    assert report is not None
    days = report["day_by_day_metrics"]["days"]
    assert [day["day"] for day in days] == [(monday + timedelta(days=n)).isoformat() for n in range(7)]
    assert sum(day["total_consumption"] for day in days) == same(week["total_consumption"])
    assert report["disaggregation_metrics"] == week


@given(device_ids, mondays)
@few
def test_a_whole_week_inside_a_month_is_one_of_its_weeks(device_id: str, monday: date) -> None:
    sunday = monday + timedelta(days=6)
    assume(monday.month == sunday.month)
    week = FLEET.week(device_id, monday)
    weeks = FLEET.month_weeks(device_id, monday.year, monday.month)
    assume(week is not None and weeks is not None)
    assert week is not None
    assert weeks is not None
    inside = next(it for it in weeks["weeks"] if it["from"] == monday.isoformat())
    assert inside["to"] == sunday.isoformat()
    assert inside["total_consumption"] == week["total_consumption"]
    assert inside["appliances"] == week["appliances"]


@given(device_ids, months)
@few
def test_cycles_add_up_to_the_vehicle_of_the_month(device_id: str, month: tuple[int, int]) -> None:
    result = month_or_skip(device_id, month)
    charged = by_key(result["appliances"]).get("electric_vehicle", 0)
    cycles = FLEET.month_cycles(device_id, *month)
    if not charged:
        assert not cycles
        return
    assert cycles is not None
    [vehicle] = cycles
    assert vehicle["appliance_key"] == "electric_vehicle"
    assert vehicle["total_consumption"] == charged
    assert sum(cycle["consumption"] for cycle in vehicle["cycles"]) == same(charged)


@given(drivers, mondays)
@few
def test_the_cycles_of_a_week_are_those_of_its_month(device_id: str, monday: date) -> None:
    sunday = monday + timedelta(days=6)
    week = FLEET.week_cycles(device_id, monday)
    months = [FLEET.month_cycles(device_id, day.year, day.month) for day in sorted({monday, sunday})]
    assume(week is not None and None not in months)
    found = [cycle for month in months for vehicle in month or () for cycle in vehicle["cycles"]]
    for vehicle in week or ():
        assert all(cycle in found for cycle in vehicle["cycles"])


@given(drivers, months)
@few
def test_cycles_are_local_clock_readings_in_order_within_their_period(
    device_id: str, month: tuple[int, int]
) -> None:
    span = Span.month(*month)
    for vehicle in FLEET.month_cycles(device_id, *month) or ():
        starts = [datetime.fromisoformat(cycle["from"]) for cycle in vehicle["cycles"]]
        ends = [datetime.fromisoformat(cycle["to"]) for cycle in vehicle["cycles"]]
        assert starts == sorted(starts)
        for reading in (*starts, *ends):
            assert reading.tzinfo is None
            assert span.first <= reading.toordinal() <= span.last
        for start, end in zip(starts, ends, strict=True):
            assert end > start - timedelta(hours=1)


def test_no_cycle_is_read_at_an_hour_that_the_clocks_skipped() -> None:
    for device_id in FLEET.device_ids():
        home = FLEET.household(device_id)
        if home is None or home.place.zone != "Europe/Berlin":
            continue
        zone = ZoneInfo(home.place.zone)
        for vehicle in FLEET.week_cycles(device_id, date(2024, 3, 25)) or ():
            for cycle in vehicle["cycles"]:
                reading = datetime.fromisoformat(cycle["from"])
                instant = reading.replace(tzinfo=zone).timestamp()
                assert datetime.fromtimestamp(instant, zone).replace(tzinfo=None) == reading


@given(device_ids, months)
@few
def test_the_metrics_of_a_report_agree_with_its_days(device_id: str, month: tuple[int, int]) -> None:
    report = FLEET.month_report(device_id, *month)
    assume(report is not None)
    assert report is not None
    metrics = report["day_by_day_metrics"]
    days = metrics["days"]
    total = sum(day["total_consumption"] for day in days)
    assert len(days) == Span.month(*month).days
    assert metrics["total_month_consumption"] == same(total)
    assert metrics["average_month_consumption"] == same(total / len(days))
    at_weekends = sum(day["total_consumption"] for day in days if day["weekend"])
    assert metrics["total_consumed_on_weekend_days"] == same(at_weekends)
    assert metrics["total_consumed_on_week_days"] == same(total - at_weekends)
    assert metrics["max_month_consumption"] == max(days, key=lambda day: day["total_consumption"])
    assert metrics["min_month_consumption"] == min(days, key=lambda day: day["total_consumption"])
    assert metrics["days_without_consumption"] == sum(day["total_consumption"] == 0 for day in days)
    for day in days:
        assert day["weekend"] == (date.fromisoformat(day["day"]).weekday() >= 5)


@given(device_ids, months)
@few
def test_a_report_in_kwh_is_a_thousandth_of_the_disaggregation(
    device_id: str, month: tuple[int, int]
) -> None:
    result = month_or_skip(device_id, month)
    report = FLEET.month_report(device_id, *month)
    assert report is not None
    assert report["disaggregation_metrics"] == result
    kwh = report["day_by_day_metrics"]["total_month_consumption"]
    assert kwh * 1000 == same(result["total_consumption"])
    assert report["carbon_footprint"]["kgco2"] == same(kwh * 0.519)


@given(device_ids, months)
@few
def test_a_result_is_the_same_from_any_fleet_with_the_same_seed(
    device_id: str, month: tuple[int, int]
) -> None:
    assert TWIN.month(device_id, *month) == FLEET.month(device_id, *month)


@given(device_ids, months, st.dates(date(2021, 1, 1), date(2024, 12, 31)))
@few
def test_a_late_result_is_at_most_four_days_late(device_id: str, month: tuple[int, int], today: date) -> None:
    LATE_FLEET.today = today
    late = LATE_FLEET.month(device_id, *month)
    TWIN.today = today
    by_rule = TWIN.month(device_id, *month)
    TWIN.today = today - timedelta(days=4)
    four_days_ago = TWIN.month(device_id, *month)
    TWIN.today = TODAY
    assert late is None or late == by_rule
    assert four_days_ago is None or four_days_ago == late


def test_about_the_share_that_was_asked_for_is_late() -> None:
    fleet = Fleet(devices=2000, seed=7, today=date(2024, 8, 3), late_share=0.2)
    prompt = Fleet(devices=2000, seed=7, today=date(2024, 8, 3))
    ready = sum(fleet.month(it, 2024, 7) is not None for it in fleet.device_ids())
    all_of_them = sum(prompt.month(it, 2024, 7) is not None for it in prompt.device_ids())
    assert 0.75 < ready / all_of_them < 0.85


def test_nothing_exists_before_the_first_event() -> None:
    homes = [home for it in FLEET.device_ids() if (home := FLEET.household(it))]
    recent = [home for home in homes if home.first_day and home.first_day > date(2024, 6, 1).toordinal()]
    assert recent
    for home in recent:
        device_id = f"{home.index:04d}"
        assert FLEET.month(device_id, 2024, 5) is None
        assert FLEET.week(device_id, date(2024, 5, 20)) is None


def test_a_few_ordinary_devices_lack_a_result() -> None:
    ordinary = [
        it
        for it in FLEET.device_ids()
        if (home := FLEET.household(it)) and home.first_day and home.first_day < date(2024, 1, 1).toordinal()
    ]
    lacking = sum(FLEET.month(it, 2024, 7) is None for it in ordinary)
    assert 0 < lacking < len(ordinary) * 0.02


def test_totals_come_as_whole_floats_fractions_and_bare_zeros() -> None:
    printed = [orjson.dumps(FLEET.month(it, 2024, 7)).decode() for it in FLEET.device_ids()[:300]]
    heads = [text.partition(",")[0] for text in printed if text != "null"]
    whole = [head for head in heads if head.endswith(".0")]
    assert 0 < len(whole) < len(heads)
    assert any('"consumption":0}' in text for text in printed)


def test_an_appliance_that_rests_is_zero_in_some_homes_and_absent_in_others() -> None:
    shapes = set()
    for device_id in FLEET.device_ids():
        home, result = FLEET.household(device_id), FLEET.month(device_id, 2024, 7)
        if home and result and home.owns("heating") and not home.south:
            shapes.add(any(share["appliance_key"] == "heating" for share in result["appliances"]))
    assert shapes == {True, False}


def test_a_silent_home_has_a_result_that_says_nothing() -> None:
    silent = [it for it in FLEET.device_ids() if (home := FLEET.household(it)) and home.silent_cycles]
    assert 0 < len(silent) < 200
    span = Span.month(2024, 7)
    assert any(FLEET.has_result(Dataset.MONTH_CYCLES, it, span) for it in silent)
    assert all(FLEET.month_cycles(it, 2024, 7) is None for it in silent)
