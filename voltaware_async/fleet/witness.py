"""Witness: whether the API answers at all, when it does not where it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltaware_async.cells import Cell, Dataset, Failed, Unseen
from voltaware_async.errors import ApiError, CredentialsRefusedError
from voltaware_async.fleet.due import today
from voltaware_async.fleet.outage import is_no_answer
from voltaware_async.periods import Month

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from voltaware_async.cells import Lookup, Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.survey import LookUp
    from voltaware_async.records.devices import DeviceId

__all__ = ["Witness"]


class Witness:
    """Ask another endpoint about the same device, and where that is silent too, the list of all devices.

    Costs one or two requests. The list may be long; it is what depends on no single device.
    """

    def __init__(
        self, fetch: FetchCell, look_up: LookUp, list_devices: Callable[[], Awaitable[Sequence[DeviceId]]]
    ) -> None:
        self._fetch = fetch
        self._look_up = look_up
        self._list_devices = list_devices

    async def beside_cell(self, cell: Cell) -> bool:
        """Tell whether the API answers elsewhere than for this cell."""
        return _is_answer(await self._look_up(cell.device_id)) or await self._lists()

    async def beside_device(self, device_id: DeviceId) -> bool:
        """Tell whether the API answers elsewhere than for this look-up."""
        cell = Cell(device_id, Dataset.MONTH, Month.of(today()).previous())
        return _is_answer(await self._fetch(cell)) or await self._lists()

    async def _lists(self) -> bool:
        try:
            await self._list_devices()
        except CredentialsRefusedError:
            raise
        except ApiError as error:
            return not is_no_answer(error)
        return True


def _is_answer(outcome: Outcome | Lookup) -> bool:
    return not (isinstance(outcome, Failed | Unseen) and is_no_answer(outcome.error))
