"""Devices and results: what their properties say, and what they leave to the caller."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from voltaware_async.protocol.codec import DEVICE, DISAGGREGATION
from voltaware_async.records.devices import Locale
from voltaware_async.records.disaggregation import ApplianceKey, Cycle, Disaggregation, WeekOfMonth

SAMPLES = Path(__file__).parent.parent / "samples"


def test_only_reading_the_deprecated_field_warns() -> None:
    """T30."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        locale = DEVICE.decode((SAMPLES / "device.json").read_bytes()).locale
        assert locale is not None
        assert not caught
    with pytest.warns(DeprecationWarning, match="userDefinedLanguage"):
        assert locale.user_defined_language == "pt-BR"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "CET"])
def test_a_known_zone_is_resolved(zone: str) -> None:
    """T31: legacy names too."""
    assert Locale(time_zone_id=zone).tz == ZoneInfo(zone)


@pytest.mark.parametrize("zone", ["Mars/Base", "", None, "../etc/passwd", "Europe", "a\x00b"])
def test_an_unknown_zone_fails_only_when_it_is_asked_for(zone: str | None) -> None:
    """T31."""
    locale = Locale(time_zone_id=zone)
    with pytest.raises(ValueError, match="time zone"):
        _ = locale.tz


def test_an_appliance_that_was_not_found_is_none_and_not_zero() -> None:
    """T66."""
    month = DISAGGREGATION.decode((SAMPLES / "month.json").read_bytes())
    assert month.consumption_of(ApplianceKey.FRIDGE) == month.consumption_of("fridge") == 45081.336
    assert month.consumption_of("heating") is None


def test_what_no_appliance_accounts_for_is_told_and_not_refused() -> None:
    """T68."""
    assert Disaggregation(100.0, 0.0, ()).unattributed == 100.0


def test_a_week_that_the_month_cuts_is_partial() -> None:
    """T73."""
    cut = WeekOfMonth(date(2023, 9, 1), date(2023, 9, 3), 1.0, ())
    assert cut.is_partial
    assert not WeekOfMonth(date(2023, 9, 4), date(2023, 9, 10), 1.0, ()).is_partial


def test_a_cycle_may_end_before_it_starts_on_the_local_clock() -> None:
    """T79: on the night when clocks go back."""
    night = datetime(2024, 10, 27, 2, 50)  # noqa: DTZ001  a local clock
    assert Cycle(night, night.replace(minute=10), 1.0).end < night
