"""The names of the routes: the API's own path words, without /sensors and the device."""

AUTH_ROUTES = ("auth/token", "auth/token/refresh")

METADATA_ROUTES = ("metadata/property", "metadata/appliances", "metadata/geolocation")

RESULT_ROUTES = (
    "sm/disag/month",
    "sm/disag/month/weeks",
    "sm/disag/week",
    "sm/disag/cycles/monthly",
    "sm/disag/cycles/weekly",
    "sm/reports/monthly",
    "sm/reports/weekly",
)

ROUTE_NAMES = (*AUTH_ROUTES, "sensors", "sensor", *METADATA_ROUTES, *RESULT_ROUTES)
"""The fourteen paths of the seventeen endpoints: each metadata path has a GET and a PUT."""

UNKNOWN = "unknown"
"""The name under which requests for any other path are counted."""


def check_route(name: str) -> str:
    """Return the name; ValueError says which names there are."""
    if name not in {*ROUTE_NAMES, UNKNOWN}:
        raise ValueError(f"route {name!r} is none of {', '.join(ROUTE_NAMES)}, {UNKNOWN}")
    return name
