"""Every example of the documentation decodes to the values that it shows, and encodes back to itself."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from voltaware_async.protocol import codec
from voltaware_async.protocol.codec import Malformed, TokenGrant
from voltaware_async.records import appliances as a
from voltaware_async.records.appliance_choices import (
    AcType,
    AcUsageType,
    BoilerUsageType,
    FridgeType,
    OvenType,
    SolarThermalCoupling,
)
from voltaware_async.records.devices import ConnectionState
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    ApplianceKey,
    Cycle,
    Disaggregation,
)
from voltaware_async.records.metadata import (
    AgeRange,
    BusinessProperty,
    Geolocation,
    HomeProperty,
    HomeType,
    HomeUsageType,
    Person,
    PowerGeneratorSource,
    Property,
    PropertyType,
)
from voltaware_async.records.reports import CarbonFootprint, DayConsumption

SAMPLES = Path(__file__).parent.parent / "samples"

REPLIES = {
    "refresh_reply.json": codec.TOKEN_GRANT,
    "token_reply.json": codec.TOKEN_GRANT,
    "device.json": codec.DEVICE,
    "property_view.json": codec.PROPERTY,
    "appliances_view.json": codec.APPLIANCES,
    "geolocation_view.json": codec.GEOLOCATION,
    "month.json": codec.DISAGGREGATION,
    "month_weeks.json": codec.MONTH_BY_WEEKS,
    "week.json": codec.DISAGGREGATION,
    "month_cycles.json": codec.CYCLES,
    "week_cycles.json": codec.CYCLES,
    "month_report.json": codec.MONTH_REPORT,
    "week_report.json": codec.WEEK_REPORT,
}


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("name", REPLIES)
def test_an_example_encodes_back_to_its_own_words_and_values(name: str) -> None:
    """T29, T78, T86: attributes with other names are written under the wire's."""
    record = REPLIES[name].decode(sample(name))
    assert json.loads(REPLIES[name].encode(record)) == json.loads(sample(name))
    assert REPLIES[name].decode(REPLIES[name].encode(record)) == record


def test_every_sample_file_is_named_in_the_readme_and_used() -> None:
    files = {path.name for path in SAMPLES.iterdir()} - {"README.md"}
    readme = (SAMPLES / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in files)
    others = {name for name in files if "request" in name or "update" in name} | {"devices.txt"}
    assert files == others | REPLIES.keys()


def test_the_token_examples() -> None:
    """T01, T03: the life has its own field name; a refresh has no refresh token."""
    granted = codec.TOKEN_GRANT.decode(sample("token_reply.json"))
    assert granted == TokenGrant("2YotnFZFEjr1zCsicMWpAA", 43200.0, "tGzv3JOkF0XG5Qx2TlKWIA")
    assert codec.TOKEN_GRANT.decode(sample("refresh_reply.json")).refresh_token is None


def test_the_device_list_example_keeps_its_zeros() -> None:
    """T21: it is not JSON."""
    assert codec.DEVICE_IDS.decode(sample("devices.txt")) == ("0001", "0002", "0003")


@pytest.mark.filterwarnings("ignore:userDefinedLanguage")
def test_the_device_example() -> None:
    """T25, T26, T28, T29, T30."""
    device = codec.DEVICE.decode(sample("device.json"))
    assert device.connection_state is ConnectionState.CONNECTED
    assert device.firmware == "112356"
    assert device.last_event == datetime(2020, 12, 8, 15, 23, 5, tzinfo=UTC)
    assert device.first_event == datetime(2018, 6, 8, 10, 20, 51, 287_000, tzinfo=UTC)
    assert device.locale is not None
    assert device.locale.iso_country_code == "DE"
    assert device.locale.iso_locale_code == "de-DE"
    assert device.locale.time_zone_id == "Europe/Berlin"
    assert device.locale.user_defined_language == "pt-BR"


def test_the_property_view_example() -> None:
    """T33: it lacks home_usage_type."""
    assert codec.PROPERTY.decode(sample("property_view.json")) == Property(
        property_type=PropertyType.HOME,
        home_type=HomeType.FLAT,
        home_size=49.8,
        bedroom_amount=2,
        power_generator_source=PowerGeneratorSource.SOLAR,
        people_amount=2,
        people_amount_in_day_time=0,
        people=(Person(AgeRange.ADULT, 2),),
        version="1.0",
    )


def test_the_home_update_example_is_what_the_update_writes() -> None:
    update = HomeProperty(
        home_type=HomeType.HOUSE,
        home_usage_type=HomeUsageType.PRIMARY,
        home_size=80,
        bedroom_amount=2,
        power_generator_source=PowerGeneratorSource.NONE,
        people_amount=3,
        people_amount_in_day_time=2,
        people=[Person(AgeRange.ADULT, 2), Person(AgeRange.ZERO_TO_FIVE, 1)],
    )
    written = codec.encode_property_update(update)
    assert json.loads(written) == json.loads(sample("property_home_update.json"))
    assert list(json.loads(written)) == list(json.loads(sample("property_home_update.json")))


def test_the_industry_update_example_is_what_the_legacy_word_writes() -> None:
    """T34, T35: exactly three keys."""
    update = BusinessProperty(
        property_type=PropertyType.INDUSTRIAL,
        power_generator_source=PowerGeneratorSource.SOLAR,
        legacy_industry=True,
    )
    written = json.loads(codec.encode_property_update(update))
    assert list(written.items()) == list(json.loads(sample("property_industry_update.json")).items())


def test_the_appliances_view_example() -> None:
    """T49: two AC, two boilers and two others stay six items in their order."""
    boiler = {"amount": 1}
    assert codec.APPLIANCES.decode(sample("appliances_view.json")) == a.Appliances(
        (
            a.AC(amount=1, type=AcType.CENTRALISED, usage_type=AcUsageType.SUMMER),
            a.AC(amount=1, type=AcType.WINDOW, usage_type=AcUsageType.BOTH),
            a.ElectricBoiler(
                **boiler,
                usage_type=BoilerUsageType.SPACE_HEATING,
                coupled_with_solar_thermal_system=SolarThermalCoupling.NO,
                water_tank=False,
            ),
            a.ElectricBoiler(
                **boiler,
                usage_type=BoilerUsageType.WATER_HEATING,
                coupled_with_solar_thermal_system=SolarThermalCoupling.YES,
                water_tank=True,
            ),
            a.Fridge(amount=1, type=FridgeType.FRIDGE),
            a.GasHeating(amount=1, any_electric_heater=False),
            a.ElectricOven(amount=1, type=OvenType.REGULAR),
            a.OtherAppliance(amount=1, name="A Electronic Device"),
            a.OtherAppliance(amount=1, name="A Different Electronic Device"),
        ),
        version="1.0",
    )


def test_the_appliances_update_example_once_its_alternatives_are_decided() -> None:
    """T42: the example is no JSON; with one value of each alternative, every item is a known appliance."""
    text = sample("appliances_update.txt").decode()
    with pytest.raises(Malformed, match="not JSON"):
        codec.APPLIANCES.decode(text.encode())
    decided = text.replace('"MICROWAVE" | "MINI" | "REGULAR"', '"MINI"').replace('"ELECTRIC" | ', "")
    appliances = codec.APPLIANCES.decode(decided.encode())
    assert {type(item) for item in appliances.appliances} == set(a.KNOWN_APPLIANCES.values())
    assert json.loads(codec.APPLIANCES.encode(appliances)) == json.loads(decided)


def test_the_geolocation_examples() -> None:
    """T57: no rounding."""
    here = Geolocation(latitude=51.509865, longitude=-0.118092)
    assert codec.GEOLOCATION.decode(sample("geolocation_view.json")) == here
    assert codec.GEOLOCATION.encode(here) == b"".join(sample("geolocation_update.json").split())


@pytest.mark.parametrize("name", ["month.json", "week.json"])
def test_the_disaggregation_examples(name: str) -> None:
    assert codec.DISAGGREGATION.decode(sample(name)) == Disaggregation(
        416951.0,
        14.3,
        (
            ApplianceConsumption(ApplianceKey.COOKING, 19057.0),
            ApplianceConsumption(ApplianceKey.ELECTRIC_VEHICLE, 197148.0),
            ApplianceConsumption(ApplianceKey.FRIDGE, 45081.336),
            ApplianceConsumption(ApplianceKey.LIGHTS, 59649.63),
            ApplianceConsumption(ApplianceKey.OTHERS, 12881.073),
            ApplianceConsumption(ApplianceKey.STANDBY, 53491.2),
            ApplianceConsumption(ApplianceKey.WASHING, 29642.76),
        ),
    )


def test_the_month_by_weeks_example() -> None:
    """T68, T72, T73: weeks are clipped to the month, and their appliances need not add up."""
    month = codec.MONTH_BY_WEEKS.decode(sample("month_weeks.json"))
    assert (month.total_consumption, month.disconnection_percentage) == (550764.0, 14.3)
    assert [(week.start.day, week.end.day) for week in month.weeks] == [
        (1, 3),
        (4, 10),
        (11, 17),
        (18, 24),
        (25, 30),
    ]
    assert month.weeks[0].start == date(2023, 9, 1)
    assert [week.is_partial for week in month.weeks] == [True, False, False, False, True]
    missing = [week.total_consumption - sum(i.consumption for i in week.appliances) for week in month.weeks]
    assert missing == pytest.approx([0, 0, 513, 0, 8831], abs=0.01)
    assert month.weeks[2].appliances[2] == ApplianceConsumption(ApplianceKey.HEATING, 15067.439)


@pytest.mark.parametrize("name", ["month_cycles.json", "week_cycles.json"])
def test_the_cycles_examples(name: str) -> None:
    """T79, T81, T84."""
    first, second = datetime(2024, 7, 12, 0, 32, 53), datetime(2024, 7, 12, 20, 17, 24)  # noqa: DTZ001  local
    assert codec.CYCLES.decode(sample(name)) == (
        ApplianceCycles(
            ApplianceKey.ELECTRIC_VEHICLE,
            1917.0650024414062,
            (
                Cycle(first, first.replace(hour=4, minute=29, second=10), 838.8944702148438),
                Cycle(second, second.replace(hour=22, minute=48, second=14), 1078.1705322265625),
            ),
        ),
    )


def test_the_month_report_example() -> None:
    """T66, T67, T85, T87, T91: kept as sent, though it contradicts itself."""
    report = codec.MONTH_REPORT.decode(sample("month_report.json"))
    assert report.total_consumption == 13.70671
    assert report.average_consumption == 0.44215
    assert report.max_consumption == DayConsumption(date(2024, 7, 23), 0.46071, weekend=False)
    assert report.min_consumption == DayConsumption(date(2024, 7, 24), 0.40534, weekend=False)
    assert report.day_by_day_metrics.days_without_consumption == 0
    assert report.day_by_day_metrics.total_consumed_on_week_days == 10.12829
    assert report.day_by_day_metrics.total_consumed_on_weekend_days == 3.57842
    assert [day.day for day in report.days] == [date(2024, 7, day) for day in range(1, 32)]
    assert report.days[5] == DayConsumption(date(2024, 7, 6), 0.44847, weekend=True)
    assert report.disaggregation_metrics.total_consumption == 13706.82
    assert report.disaggregation_metrics.consumption_of("others") == 2.2737368e-13
    assert report.disaggregation_metrics.consumption_of("heating") == 0.0
    assert report.carbon_footprint == CarbonFootprint(7.11378249, 3.803064)
    assert report.version == 1


def test_the_week_report_example() -> None:
    """T86: other names on the wire, the same record."""
    report = codec.WEEK_REPORT.decode(sample("week_report.json"))
    assert report.total_consumption == 13.70671
    assert report.average_consumption == 0.44215
    assert report.max_consumption == DayConsumption(date(2024, 7, 11), 0.46071, weekend=False)
    assert report.min_consumption == DayConsumption(date(2024, 7, 13), 0.40534, weekend=True)
    assert len(report.days) == 7
    assert len(report.disaggregation_metrics.appliances) == 5
