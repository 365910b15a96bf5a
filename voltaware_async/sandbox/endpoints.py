"""The seventeen endpoints, each a plain function from a call to a reply."""

from collections.abc import Iterator
from datetime import date
from itertools import islice

from attrs import frozen

from voltaware_async.sandbox.fleet import Fleet
from voltaware_async.sandbox.logins import Login, Logins
from voltaware_async.sandbox.metadata import TOPICS, MetadataBook, Topic
from voltaware_async.sandbox.queries import monday, no_query, year_and_month
from voltaware_async.sandbox.replies import JSON_TYPE, RefusedError, Reply, json_reply, no_content
from voltaware_async.sandbox.requests import Request, json_body, no_body
from voltaware_async.sandbox.rules import Fields, OneOf, Rule, Text
from voltaware_async.sandbox.spans import Dataset, Span

_IDS_PER_CHUNK = 4096


@frozen
class World:
    """All that the endpoints know and change."""

    fleet: Fleet
    logins: Logins
    metadata: MetadataBook
    ids_as_text: bool


@frozen
class Call:
    """A request for a route; `device_id` is empty on routes without a device."""

    world: World
    request: Request
    device_id: str

    def authorize(self) -> Login:
        """Return the caller's login; 401 without a good access token."""
        return self.world.logins.of(self.request.authorization)


_TOKEN_RULE: Rule = Fields(
    {"grant_type": OneOf(("client_credentials",)), "client_id": Text(), "client_secret": Text()}
)
_REFRESH_RULE: Rule = Fields(
    {"grant_type": OneOf(("refresh_token",)), "client_id": Text(), "refresh_token": Text()}
)


def issue_token(call: Call) -> Reply:
    """Issue an access token and a refresh token for client credentials.

    Source: Authentication, Access Token.
    """
    fields = _auth_fields(call, _TOKEN_RULE)
    world = call.world
    return json_reply(
        200,
        world.logins.log_in(fields["client_id"], fields["client_secret"], registered=world.fleet.registered),
    )


def refresh_token(call: Call) -> Reply:
    """Issue an access token for a refresh token; as documented, the reply carries no refresh token.

    Source: Authentication, Refresh Token.
    """
    fields = _auth_fields(call, _REFRESH_RULE)
    return json_reply(200, call.world.logins.refresh(fields["client_id"], fields["refresh_token"]))


def _auth_fields(call: Call, rule: Rule) -> dict[str, str]:
    """Return the string fields of an /auth/* body, which keeps a rule of strings."""
    if call.request.authorization is not None:
        raise RefusedError(400, "The request header Authorization has no place here")
    no_query(call.request.query)
    body = json_body(call.request, rule)
    fields = body if isinstance(body, dict) else {}
    return {name: str(value) for name, value in fields.items()}


def list_devices(call: Call) -> Reply:
    """List the ids, printed as bare numbers with leading zeros: not JSON, but what the documentation shows.

    Source: Devices, List all devices.
    """
    call.authorize()
    no_query(call.request.query)
    no_body(call.request)
    world = call.world
    return Reply(
        200,
        headers=(("Content-Type", JSON_TYPE),),
        chunks=lambda: printed_ids(world.fleet, as_text=world.ids_as_text),
    )


def printed_ids(fleet: Fleet, *, as_text: bool) -> Iterator[bytes]:
    """Yield the body of GET /sensors piece by piece."""
    ids = iter(fleet.device_ids())
    quote = '"' if as_text else ""
    separator = f"{quote}, {quote}"
    opening = f"[{quote}"
    while chunk := list(islice(ids, _IDS_PER_CHUNK)):
        yield (opening + separator.join(chunk)).encode()
        opening = separator
    yield b"[]" if opening != separator else f"{quote}]".encode()


def view_device(call: Call) -> Reply:
    """Show one device.

    Source: Devices, View single sensor.
    """
    call.authorize()
    no_query(call.request.query)
    no_body(call.request)
    device = call.world.fleet.device(call.device_id)
    if device is None:
        raise RefusedError(404, "The device was not found")
    return json_reply(200, device)


def view_property(call: Call) -> Reply:
    """Show the property of a device.

    Source: Metadata, Property, View property details.
    """
    return _view_metadata(call, Topic.PROPERTY)


def set_property(call: Call) -> Reply:
    """Replace the property of a device.

    Source: Metadata, Property, Set up property details.
    """
    return _set_metadata(call, Topic.PROPERTY)


def view_appliances(call: Call) -> Reply:
    """Show the appliances of a device.

    Source: Metadata, Appliances, View property appliances.
    """
    return _view_metadata(call, Topic.APPLIANCES)


def set_appliances(call: Call) -> Reply:
    """Replace the appliances of a device.

    Source: Metadata, Appliances, Set up property appliances.
    """
    return _set_metadata(call, Topic.APPLIANCES)


def view_geolocation(call: Call) -> Reply:
    """Show where a device is.

    Source: Metadata, Meter geolocation, View geolocation.
    """
    return _view_metadata(call, Topic.GEOLOCATION)


def set_geolocation(call: Call) -> Reply:
    """Replace where a device is.

    Source: Metadata, Meter geolocation, Set up geolocation.
    """
    return _set_metadata(call, Topic.GEOLOCATION)


def _view_metadata(call: Call, topic: Topic) -> Reply:
    _authorize_metadata(call)
    no_body(call.request)
    found = call.world.metadata.get(call.device_id, topic)
    if found is None:
        raise RefusedError(404, f"The device has no {topic} yet")
    return json_reply(200, found)


def _set_metadata(call: Call, topic: Topic) -> Reply:
    _authorize_metadata(call)
    call.world.metadata.put(call.device_id, topic, json_body(call.request, TOPICS[topic].rule))
    return no_content()


def _authorize_metadata(call: Call) -> None:
    """Refuse with 403 a meter that sent no event, or sent its first one after this login.

    Source: Debugging/Status code, 403; Metadata.
    """
    login = call.authorize()
    no_query(call.request.query)
    if not call.world.fleet.known_to(call.device_id, login.registered):
        raise RefusedError(403, "The device is not registered: send an event, then reconnect to the API")


def disaggregate_month(call: Call) -> Reply:
    """Show the disaggregation of a month.

    Source: Disaggregation, Month.
    """
    year, month = _month_of(call)
    return _found(call.world.fleet.month(call.device_id, year, month))


def disaggregate_month_by_weeks(call: Call) -> Reply:
    """Show the disaggregation of a month by its weeks, cut off at its ends.

    Source: Disaggregation, Month by Weeks.
    """
    year, month = _month_of(call)
    return _found(call.world.fleet.month_weeks(call.device_id, year, month))


def disaggregate_week(call: Call) -> Reply:
    """Show the disaggregation of a week.

    Source: Disaggregation, Week.
    """
    start = _week_of(call)
    return _found(call.world.fleet.week(call.device_id, start))


def list_month_cycles(call: Call) -> Reply:
    """List the charging cycles of a month.

    Source: Disaggregation, Appliance Cycles - Month.
    """
    year, month = _month_of(call)
    cycles = call.world.fleet.month_cycles(call.device_id, year, month)
    if cycles is None and _has_result(call, Dataset.MONTH_CYCLES, Span.month(year, month)):
        return no_content()
    return _found(cycles)


def list_week_cycles(call: Call) -> Reply:
    """List the charging cycles of a week.

    Source: Disaggregation, Appliance Cycles - Week.
    """
    start = _week_of(call)
    cycles = call.world.fleet.week_cycles(call.device_id, start)
    if cycles is None and _has_result(call, Dataset.WEEK_CYCLES, Span.week(start)):
        return no_content()
    return _found(cycles)


def report_month(call: Call) -> Reply:
    """Show the report of a month.

    Source: Reports, Monthly.
    """
    year, month = _month_of(call)
    return _found(call.world.fleet.month_report(call.device_id, year, month))


def report_week(call: Call) -> Reply:
    """Show the report of a week.

    Source: Reports, Weekly.
    """
    start = _week_of(call)
    return _found(call.world.fleet.week_report(call.device_id, start))


def _month_of(call: Call) -> tuple[int, int]:
    call.authorize()
    no_body(call.request)
    return year_and_month(call.request.query)


def _week_of(call: Call) -> date:
    call.authorize()
    no_body(call.request)
    return monday(call.request.query)


def _has_result(call: Call, dataset: Dataset, span: Span) -> bool:
    return call.world.fleet.has_result(dataset, call.device_id, span)


def _found(result: object | None) -> Reply:
    if result is None:
        raise RefusedError(404, "No result was found for the device and the period")
    return json_reply(200, result)
