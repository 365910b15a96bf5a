"""Resources: one awaitable per endpoint, grouped as the documentation groups them.

Every call may raise the errors of `errors.py` that are ApiError; TypeError or ValueError for what is no
device id or the wrong kind of period, before any request. Every call costs one request, retries and token
calls apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltaware_async.protocol import codec, endpoints
from voltaware_async.protocol.requests import about_a_device, for_a_period, list_devices
from voltaware_async.records.metadata import Property

if TYPE_CHECKING:
    from voltaware_async.periods import Month, Week
    from voltaware_async.records.appliances import Appliances
    from voltaware_async.records.devices import Device, DeviceId
    from voltaware_async.records.disaggregation import ApplianceCycles, Disaggregation, MonthByWeeks
    from voltaware_async.records.metadata import Geolocation, PropertyUpdate
    from voltaware_async.records.reports import Report
    from voltaware_async.transport.sender import Fetch

__all__ = ["DeviceCalls", "DisaggregationCalls", "MetadataCalls", "ReportCalls"]


class DeviceCalls:
    """Ask for devices: `client.devices`."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def list(self) -> tuple[DeviceId, ...]:
        """Return the ids of all devices, in the API's order, exactly as it printed them.

        Holds the smart meters that have sent a data point and your Voltaware sensors; a device that is
        missing here may exist all the same. Empty where the API has none.

        Source: Devices, List all devices.
        """
        answer = await self._fetch(list_devices())
        return answer.value or ()

    async def get(self, device_id: DeviceId) -> Device | None:
        """Return one device, or None where the API knows no such device.

        Source: Devices, View single sensor.
        """
        return (await self._fetch(about_a_device(endpoints.DEVICE, device_id))).value


class MetadataCalls:
    """View and set what is known of a home: `client.metadata`.

    Raises DeviceNotRegisteredError for a meter that has sent no data point yet.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    # A body is never a local variable: error reporters print those, and it is a household's.

    async def get_property(self, device_id: DeviceId) -> Property | None:
        """Return what was set of the property, or None.

        Source: Metadata, Property, View property details.
        """
        return (await self._fetch(about_a_device(endpoints.PROPERTY, device_id))).value

    async def set_property(self, device_id: DeviceId, details: PropertyUpdate | Property) -> None:
        """Set the property, replacing what was set before.

        A view is completed first by `to_update()`: IncompleteError if it lacks a required field.

        Source: Metadata, Property, Set up property details.
        """
        update = details.to_update() if isinstance(details, Property) else details
        await self._fetch(
            about_a_device(endpoints.SET_PROPERTY, device_id, codec.encode_property_update(update))
        )

    async def get_appliances(self, device_id: DeviceId) -> Appliances | None:
        """Return the appliances that were set, or None.

        Source: Metadata, Appliances, View property appliances.
        """
        return (await self._fetch(about_a_device(endpoints.APPLIANCES, device_id))).value

    async def set_appliances(self, device_id: DeviceId, appliances: Appliances) -> None:
        """Set the whole list of appliances; the documentation does not say that anything is merged.

        Source: Metadata, Appliances, Set up property appliances.
        """
        await self._fetch(
            about_a_device(endpoints.SET_APPLIANCES, device_id, codec.APPLIANCES.encode(appliances))
        )

    async def get_geolocation(self, device_id: DeviceId) -> Geolocation | None:
        """Return the location that was set, or None.

        Source: Metadata, Meter geolocation, View geolocation.
        """
        return (await self._fetch(about_a_device(endpoints.GEOLOCATION, device_id))).value

    async def set_geolocation(self, device_id: DeviceId, geolocation: Geolocation) -> None:
        """Set the location, which lets the weather be taken into account.

        Source: Metadata, Meter geolocation, Set up geolocation.
        """
        await self._fetch(
            about_a_device(endpoints.SET_GEOLOCATION, device_id, codec.GEOLOCATION.encode(geolocation))
        )


class DisaggregationCalls:
    """Ask for disaggregation results: `client.disaggregation`.

    None means that there is no result, now or ever: it is not a zero. A month's results are promised from
    `Month.available_from`; the call is sent all the same, for the API decides.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def month(self, device_id: DeviceId, month: Month) -> Disaggregation | None:
        """Return a month's consumption per appliance, in Wh.

        Source: Disaggregation, Month.
        """
        return (await self._fetch(for_a_period(endpoints.MONTH, device_id, month))).value

    async def month_weeks(self, device_id: DeviceId, month: Month) -> MonthByWeeks | None:
        """Return a month's consumption per week and appliance, in Wh; its edge weeks are clipped.

        Source: Disaggregation, Month by Weeks.
        """
        return (await self._fetch(for_a_period(endpoints.MONTH_WEEKS, device_id, month))).value

    async def week(self, device_id: DeviceId, week: Week) -> Disaggregation | None:
        """Return a week's consumption per appliance, in Wh.

        Source: Disaggregation, Week.
        """
        return (await self._fetch(for_a_period(endpoints.WEEK, device_id, week))).value

    async def month_cycles(self, device_id: DeviceId, month: Month) -> tuple[ApplianceCycles, ...] | None:
        """Return a month's cycles per appliance; empty where the API says that there were none.

        Source: Disaggregation, Appliance Cycles - Month.
        """
        return (await self._fetch(for_a_period(endpoints.MONTH_CYCLES, device_id, month))).value

    async def week_cycles(self, device_id: DeviceId, week: Week) -> tuple[ApplianceCycles, ...] | None:
        """Return a week's cycles per appliance; empty where the API says that there were none.

        Source: Disaggregation, Appliance Cycles - Week.
        """
        return (await self._fetch(for_a_period(endpoints.WEEK_CYCLES, device_id, week))).value


class ReportCalls:
    """Ask for reports: `client.reports`. None means that there is none."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def month(self, device_id: DeviceId, month: Month) -> Report | None:
        """Return a month's report, day by day; mind the unit of its days (`records.reports`).

        Source: Reports, Monthly.
        """
        return (await self._fetch(for_a_period(endpoints.MONTH_REPORT, device_id, month))).value

    async def week(self, device_id: DeviceId, week: Week) -> Report | None:
        """Return a week's report, day by day; mind the unit of its days (`records.reports`).

        Source: Reports, Weekly.
        """
        return (await self._fetch(for_a_period(endpoints.WEEK_REPORT, device_id, week))).value
