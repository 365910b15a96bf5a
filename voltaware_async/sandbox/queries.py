"""The query parameters of the results, read as strictly as the documentation words them."""

import re
from datetime import date, timedelta
from urllib.parse import parse_qsl

from voltaware_async.sandbox.replies import RefusedError

_YEAR = re.compile(r"[1-9][0-9]{3}")
_MONTH = re.compile(r"[1-9]|1[0-2]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_SUNDAY = 6


def no_query(query: str) -> None:
    """Refuse any parameter."""
    _exactly(query, ())


def year_and_month(query: str) -> tuple[int, int]:
    """Return year and month, both written as plain integers: month=7, not month=07."""
    found = _exactly(query, ("year", "month"))
    if not _YEAR.fullmatch(found["year"]):
        raise RefusedError(400, "year must be an integer of four digits")
    if not _MONTH.fullmatch(found["month"]):
        raise RefusedError(400, "month must be an integer from 1 to 12")
    return int(found["year"]), int(found["month"])


def monday(query: str) -> date:
    """Return startDate; it must be a Monday, and endDate the Sunday of the same week."""
    found = _exactly(query, ("startDate", "endDate"))
    start, end = _day(found, "startDate"), _day(found, "endDate")
    if start.weekday() != 0 or end.weekday() != _SUNDAY:
        raise RefusedError(400, "startDate must be a Monday and endDate a Sunday")
    if end - start != timedelta(days=_SUNDAY):
        raise RefusedError(400, "startDate and endDate must fall in the same week")
    return start


def _exactly(query: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters if they are those names, each once."""
    pairs = parse_qsl(query, keep_blank_values=True)
    found = dict(pairs)
    for name in names:
        if name not in found:
            raise RefusedError(400, f"The query parameter {name} is missing")
    if len(pairs) != len(names):
        extra = sorted(set(found) - set(names)) or ["given twice"]
        raise RefusedError(400, f"The query has a parameter too many: {extra[0]}")
    return found


def _day(found: dict[str, str], name: str) -> date:
    text = found[name]
    try:
        # The pattern first: fromisoformat also takes 20240708 and 2024-W28-1.
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise RefusedError(400, f"{name} must be a date such as 2024-07-08") from None
