from datetime import date
from typing import Any

import pytest
from sandbox_caller import JULY, WEEK_28, Caller, calling, sample

from voltaware_async.sandbox import Fleet, Sandbox

pytestmark = pytest.mark.anyio

MONDAY = date(2024, 7, 8)
PATHS = {
    "month": f"sm/disag/month?{JULY}",
    "month_weeks": f"sm/disag/month/weeks?{JULY}",
    "week": f"sm/disag/week?{WEEK_28}",
    "month_cycles": f"sm/disag/cycles/monthly?{JULY}",
    "week_cycles": f"sm/disag/cycles/weekly?{WEEK_28}",
    "month_report": f"sm/reports/monthly?{JULY}",
    "week_report": f"sm/reports/weekly?{WEEK_28}",
}


def expected(fleet: Fleet, dataset: str, device_id: str) -> Any:
    function = getattr(fleet, dataset)
    return function(device_id, MONDAY) if dataset.startswith("week") else function(device_id, 2024, 7)


def shape(value: Any) -> Any:
    """Return the keys of objects, in order, at every depth; of an array the shape of its first item."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    return [shape(item) for item in value[:1]] if isinstance(value, list) else None


def driver(fleet: Fleet) -> str:
    """Return a device that charged a vehicle in the week, so that no array is empty."""
    return next(it for it in fleet.device_ids() if fleet.week_cycles(it, MONDAY))


@pytest.mark.parametrize("dataset", PATHS)
async def test_a_reply_has_exactly_the_documented_keys(
    sandbox: Sandbox, caller: Caller, dataset: str
) -> None:
    answer = await caller.get(f"/sensors/{driver(sandbox.fleet)}/{PATHS[dataset]}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert shape(answer.json) == shape(sample(f"{dataset}.json"))


@pytest.mark.parametrize("dataset", PATHS)
async def test_the_fleet_says_what_the_api_answers(sandbox: Sandbox, caller: Caller, dataset: str) -> None:
    for device_id in sandbox.fleet.device_ids()[::9]:
        answer = await caller.get(f"/sensors/{device_id}/{PATHS[dataset]}")
        value = expected(sandbox.fleet, dataset, device_id)
        if value is None:
            assert answer.status in {204, 404}
        else:
            assert (answer.status, answer.json) == (200, value)


@pytest.mark.parametrize("dataset", PATHS)
async def test_an_unknown_device_has_no_result(caller: Caller, dataset: str) -> None:
    answer = await caller.get(f"/sensors/0999/{PATHS[dataset]}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize("dataset", ["month_cycles", "week_cycles"])
async def test_a_home_without_a_vehicle_has_no_cycles_in_one_of_two_shapes(
    sandbox: Sandbox, caller: Caller, dataset: str
) -> None:
    fleet = sandbox.fleet
    answers: dict[int, bytes] = {}
    for device_id in fleet.device_ids()[:120]:
        home = fleet.household(device_id)
        if home and not home.owns("electric_vehicle"):
            answer = await caller.get(f"/sensors/{device_id}/{PATHS[dataset]}")
            answers.setdefault(answer.status, answer.body)
    assert answers[200] == b"[]"
    assert answers[204] == b""


async def test_a_month_is_ready_on_the_third_of_the_next_and_never_before(
    sandbox: Sandbox, caller: Caller
) -> None:
    path = f"/sensors/{driver(sandbox.fleet)}/sm/disag/month?{JULY}"
    for today, status in ((date(2024, 7, 31), 404), (date(2024, 8, 2), 404), (date(2024, 8, 3), 200)):
        sandbox.today = today
        assert (await caller.get(path)).status == status


async def test_a_week_is_ready_once_its_sunday_has_passed(sandbox: Sandbox, caller: Caller) -> None:
    path = f"/sensors/{driver(sandbox.fleet)}/sm/reports/weekly?{WEEK_28}"
    for today, status in ((date(2024, 7, 14), 404), (date(2024, 7, 15), 200)):
        sandbox.today = today
        assert (await caller.get(path)).status == status


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("year=2024", "month"),
        ("month=7", "year"),
        ("", "year"),
        ("year=2024&month=7&day=1", "day"),
        ("year=2024&month=7&month=7", "twice"),
        ("year=2024&month=0", "month"),
        ("year=2024&month=13", "month"),
        ("year=2024&month=07", "month"),
        ("year=2024&month=7.0", "month"),
        ("year=2024&month=%EF%BC%97", "month"),
        ("year=24&month=7", "year"),
        ("year=20240&month=7", "year"),
        ("year=&month=7", "year"),
        ("Year=2024&month=7", "year"),
    ],
)
async def test_a_month_is_two_plain_integers(caller: Caller, query: str, word: str) -> None:
    for path in ("sm/disag/month", "sm/disag/month/weeks", "sm/disag/cycles/monthly", "sm/reports/monthly"):
        answer = await caller.get(f"/sensors/0001/{path}?{query}")
        assert (answer.status, word in answer.reason) == (400, True)


@pytest.mark.parametrize(
    "query",
    [
        "startDate=2024-07-08",
        "startDate=2024-07-09&endDate=2024-07-15",
        "startDate=2024-07-08&endDate=2024-07-13",
        "startDate=2024-07-08&endDate=2024-07-21",
        "startDate=2024-07-15&endDate=2024-07-14",
        "startDate=20240708&endDate=20240714",
        "startDate=2024-W28-1&endDate=2024-W28-7",
        "startDate=2024-07-08T00:00&endDate=2024-07-14",
        "startDate=2024-02-30&endDate=2024-07-14",
        "start_date=2024-07-08&end_date=2024-07-14",
        "startDate=2024-07-08&endDate=2024-07-14&year=2024",
    ],
)
async def test_a_week_is_a_monday_and_its_sunday(caller: Caller, query: str) -> None:
    for path in ("sm/disag/week", "sm/disag/cycles/weekly", "sm/reports/weekly"):
        assert (await caller.get(f"/sensors/0001/{path}?{query}")).status == 400


async def test_a_week_may_run_over_the_end_of_a_year(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.today = date(2025, 2, 1)
    query = "startDate=2024-12-30&endDate=2025-01-05"
    answer = await caller.get(f"/sensors/{driver(sandbox.fleet)}/sm/disag/week?{query}")
    assert answer.status == 200


async def test_the_last_month_of_the_calendar_is_a_month(caller: Caller) -> None:
    assert (await caller.get("/sensors/0001/sm/disag/month?year=9999&month=12")).status == 404


async def test_a_report_can_be_in_wh() -> None:
    async with Sandbox(report_unit="Wh") as sandbox, calling(sandbox) as caller:
        answer = await caller.get(f"/sensors/{driver(sandbox.fleet)}/{PATHS['month_report']}")
    metrics = answer.json["day_by_day_metrics"]
    disaggregated = answer.json["disaggregation_metrics"]["total_consumption"]
    assert metrics["total_month_consumption"] == disaggregated


def test_an_unknown_report_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="MWh"):
        Sandbox(report_unit="MWh")
