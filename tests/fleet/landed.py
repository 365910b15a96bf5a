"""What must stand in a store, worked out from the sandbox's own figures and from nothing of ours."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from voltaware_async import Dataset, Month, Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voltaware_async.sandbox import Fleet
    from voltaware_async.stores import Store

Row = tuple[object, ...]


def expected(
    fleet: Fleet, devices: Iterable[str], parts: Iterable[tuple[Dataset, Period]]
) -> dict[str, list[Row]]:
    """Return the rows of each table, sorted."""
    tables: dict[str, list[Row]] = {"consumption": [], "totals": [], "cycles": []}
    for dataset, period in parts:
        for device in devices:
            for table, row in _rows(fleet, device, dataset, period):
                tables[table].append(row)
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


def found(store: Store) -> dict[str, list[Row]]:
    """Return the same tables as they landed."""
    names = {
        "consumption": [
            "device_id",
            "dataset",
            "period_start",
            "period_end",
            "appliance_key",
            "consumption_wh",
        ],
        "totals": [
            "device_id",
            "dataset",
            "period_start",
            "period_end",
            "total_consumption_wh",
            "disconnection_percentage",
        ],
        "cycles": [
            "device_id",
            "dataset",
            "period_start",
            "period_end",
            "appliance_key",
            "start_local",
            "end_local",
            "consumption_wh",
        ],
    }
    return {
        name: sorted((tuple(row.values()) for row in store.table(name).select(columns).to_pylist()), key=repr)
        for name, columns in names.items()
    }


def _rows(fleet: Fleet, device: str, dataset: Dataset, period: Period) -> Iterator[tuple[str, Row]]:
    reply = _reply(fleet, device, dataset, period)
    key = (device, str(dataset), period.start, period.end)
    if reply is None:
        return
    if isinstance(reply, list):
        yield from _cycle_rows(key, reply)
        return
    if "disaggregation_metrics" in reply:
        reply = reply["disaggregation_metrics"]
    yield "totals", (*key, float(reply["total_consumption"]), float(reply["disconnection_percentage"]))
    yield from _appliance_rows(key, reply.get("appliances", []))
    for week in reply.get("weeks", []):
        week_key = (*key[:2], date.fromisoformat(week["from"]), date.fromisoformat(week["to"]))
        yield "totals", (*week_key, float(week["total_consumption"]), None)
        yield from _appliance_rows(week_key, week["appliances"])


def _appliance_rows(key: Row, appliances: list[dict[str, object]]) -> Iterator[tuple[str, Row]]:
    for appliance in appliances:
        yield "consumption", (*key, appliance["appliance_key"], float(str(appliance["consumption"])))


def _cycle_rows(key: Row, reply: list[dict[str, object]]) -> Iterator[tuple[str, Row]]:
    for appliance in reply:
        name = appliance["appliance_key"]
        yield "consumption", (*key, name, float(str(appliance["total_consumption"])))
        for cycle in appliance["cycles"]:
            times = (datetime.fromisoformat(cycle["from"]), datetime.fromisoformat(cycle["to"]))
            yield "cycles", (*key, name, *times, float(cycle["consumption"]))


def _reply(fleet: Fleet, device: str, dataset: Dataset, period: Period) -> object:
    ask = getattr(fleet, dataset.value)
    if isinstance(period, Month):
        return ask(device, period.year, period.month)
    return ask(device, period.start)
