"""The documented reply bodies as types: the keys of each object and what stands under them."""

from typing import TypedDict

Number = float | int


class Locale(TypedDict):
    """Where a device is; `userDefinedLanguage` is deprecated."""

    isoCountryCode: str
    isoLocaleCode: str
    timeZoneId: str
    userDefinedLanguage: str


class Device(TypedDict):
    """GET /sensors/{device_id}."""

    connection_state: str | None
    firmware: str | None
    last_event: str | None
    first_event: str | None
    locale: Locale


class Geolocation(TypedDict):
    """Degrees, north and east positive."""

    latitude: float
    longitude: float


class Share(TypedDict):
    """The consumption of one appliance, in Wh."""

    appliance_key: str
    consumption: Number


class Disaggregation(TypedDict):
    """GET …/sm/disag/month and …/week; Wh and percent."""

    total_consumption: Number
    disconnection_percentage: Number
    appliances: list[Share]


WeekShare = TypedDict(
    "WeekShare", {"from": str, "to": str, "total_consumption": Number, "appliances": list[Share]}
)


class MonthWeeks(TypedDict):
    """GET …/sm/disag/month/weeks; Wh and percent."""

    total_consumption: Number
    disconnection_percentage: Number
    weeks: list[WeekShare]


Cycle = TypedDict("Cycle", {"from": str, "to": str, "consumption": Number})


class ApplianceCycles(TypedDict):
    """One item of GET …/sm/disag/cycles/…; Wh, local clock readings without an offset."""

    appliance_key: str
    total_consumption: Number
    cycles: list[Cycle]


class Day(TypedDict):
    """One day of a report, in the unit that the report uses."""

    day: str
    total_consumption: Number
    weekend: bool


class MonthMetrics(TypedDict):
    """The day by day metrics of a monthly report."""

    days_without_consumption: int
    total_consumed_on_week_days: Number
    total_consumed_on_weekend_days: Number
    total_month_consumption: Number
    average_month_consumption: Number
    max_month_consumption: Day
    min_month_consumption: Day
    days: list[Day]


class WeekMetrics(TypedDict):
    """The day by day metrics of a weekly report."""

    days_without_consumption: int
    total_consumed_on_week_days: Number
    total_consumed_on_weekend_days: Number
    total_week_consumption: Number
    average_week_consumption: Number
    max_week_consumption: Day
    min_week_consumption: Day
    days: list[Day]


class CarbonFootprint(TypedDict):
    """Kilograms of CO2, and the trees that would absorb them."""

    kgco2: Number
    trees: Number


class MonthReport(TypedDict):
    """GET …/sm/reports/monthly."""

    day_by_day_metrics: MonthMetrics
    disaggregation_metrics: Disaggregation
    carbon_footprint: CarbonFootprint
    version: int


class WeekReport(TypedDict):
    """GET …/sm/reports/weekly."""

    day_by_day_metrics: WeekMetrics
    disaggregation_metrics: Disaggregation
    carbon_footprint: CarbonFootprint
    version: int
