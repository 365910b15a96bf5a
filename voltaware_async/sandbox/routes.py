"""Which endpoint answers which path and method."""

from collections.abc import Callable, Mapping

from attrs import frozen

from voltaware_async.sandbox import endpoints
from voltaware_async.sandbox.endpoints import Call
from voltaware_async.sandbox.replies import RefusedError, Reply
from voltaware_async.sandbox.route_names import UNKNOWN

Endpoint = Callable[[Call], Reply]

_DEVICE_PREFIX = "/sensors/"


@frozen
class Route:
    """A path of the API, under its name, and the endpoint for each method it takes."""

    name: str
    methods: Mapping[str, Endpoint]

    def endpoint(self, method: str) -> Endpoint:
        """Return the endpoint for the method; 404 on an unknown path, 405 for any other method."""
        if not self.methods:
            raise RefusedError(404, "The path is not part of the API")
        if method not in self.methods:
            allowed = ", ".join(self.methods)
            raise RefusedError(405, f"The path takes {allowed} only", (("Allow", allowed),))
        return self.methods[method]


_FIXED = {
    "/auth/token": Route("auth/token", {"POST": endpoints.issue_token}),
    "/auth/token/refresh": Route("auth/token/refresh", {"POST": endpoints.refresh_token}),
    "/sensors": Route("sensors", {"GET": endpoints.list_devices}),
}

_SENSOR = Route("sensor", {"GET": endpoints.view_device})

_OF_DEVICE = {
    route.name: route
    for route in (
        Route("metadata/property", {"GET": endpoints.view_property, "PUT": endpoints.set_property}),
        Route("metadata/appliances", {"GET": endpoints.view_appliances, "PUT": endpoints.set_appliances}),
        Route("metadata/geolocation", {"GET": endpoints.view_geolocation, "PUT": endpoints.set_geolocation}),
        Route("sm/disag/month", {"GET": endpoints.disaggregate_month}),
        Route("sm/disag/month/weeks", {"GET": endpoints.disaggregate_month_by_weeks}),
        Route("sm/disag/week", {"GET": endpoints.disaggregate_week}),
        Route("sm/disag/cycles/monthly", {"GET": endpoints.list_month_cycles}),
        Route("sm/disag/cycles/weekly", {"GET": endpoints.list_week_cycles}),
        Route("sm/reports/monthly", {"GET": endpoints.report_month}),
        Route("sm/reports/weekly", {"GET": endpoints.report_week}),
    )
}

_NO_ROUTE = Route(UNKNOWN, {})


def find_route(path: str) -> tuple[Route, str]:
    """Return the route of a raw path and the device id in it, which is empty on routes without a device.

    Nothing is normalised: a doubled or a trailing slash is another path.
    """
    if path in _FIXED:
        return _FIXED[path], ""
    if not path.startswith(_DEVICE_PREFIX):
        return _NO_ROUTE, ""
    device_id, slash, name = path.removeprefix(_DEVICE_PREFIX).partition("/")
    if not device_id:
        return _NO_ROUTE, ""
    return (_OF_DEVICE.get(name, _NO_ROUTE) if slash else _SENSOR), device_id
