"""The words of the wire, where attributes have others.

Source: Devices, View single sensor; Disaggregation; Reports, Weekly.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from voltaware_async.records.devices import Locale
from voltaware_async.records.disaggregation import Cycle, WeekOfMonth
from voltaware_async.records.reports import DayByDayMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Dialect"]


def _figures(period: str) -> Mapping[str, str]:
    """Return what a report of a period calls its four figures."""
    stems = ("total", "average", "max", "min")
    return MappingProxyType({f"{stem}_consumption": f"{stem}_{period}_consumption" for stem in stems})


_FROM_TO: Final = MappingProxyType({"start": "from", "end": "to"})
_ALWAYS: Final[Mapping[type, Mapping[str, str]]] = MappingProxyType(
    {
        Cycle: _FROM_TO,
        WeekOfMonth: _FROM_TO,
        Locale: MappingProxyType(
            {
                "iso_country_code": "isoCountryCode",
                "iso_locale_code": "isoLocaleCode",
                "time_zone_id": "timeZoneId",
                "_user_defined_language": "userDefinedLanguage",
            }
        ),
    }
)


class Dialect(Enum):
    """Name one of the two ways in which reports word their figures; everything else has one."""

    MONTH = "month"
    WEEK = "week"

    @property
    def figures(self) -> Mapping[str, str]:
        """The attributes of a report's figures and their names on the wire."""
        return _figures(self.value)

    @property
    def foreign(self) -> frozenset[str]:
        """The names that only the other dialect has."""
        return frozenset(_figures("week" if self is Dialect.MONTH else "month").values())

    def names(self, record: type) -> Mapping[str, str]:
        """Return the attributes of a record that the wire names otherwise."""
        return self.figures if record is DayByDayMetrics else _ALWAYS.get(record, MappingProxyType({}))
