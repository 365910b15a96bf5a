"""Whether the API answers at all, when it does not where it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voltaware_async import CredentialsRefusedError, Dataset, ErrorContext, Month, ServerError
from voltaware_async.cells import Absent, Cell, Failed, Seen, Unseen
from voltaware_async.errors import DecodeError, UnreachableError
from voltaware_async.fleet.witness import Witness
from voltaware_async.records.devices import DeviceId

if TYPE_CHECKING:
    from voltaware_async.cells import Lookup, Outcome
    from voltaware_async.errors import ApiError

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
CELL = Cell(DEVICE, Dataset.MONTH, Month(2024, 7))
CONTEXT = ErrorContext("GET", "/sensors", status=503)
AWAY = ServerError("the API is away", CONTEXT)


class Api:
    """Answer each of the three endpoints with an error, or well; and keep which were asked."""

    def __init__(
        self, cell: ApiError | None = None, device: ApiError | None = None, devices: ApiError | None = None
    ) -> None:
        self.asked: list[str] = []
        self._cell, self._device, self._devices = cell, device, devices
        self.witness = Witness(self._fetch, self._look_up, self._list)

    async def _fetch(self, cell: Cell) -> Outcome:
        self.asked.append("cell")
        return Absent(cell) if self._cell is None else Failed(cell, self._cell)

    async def _look_up(self, device_id: DeviceId) -> Lookup:
        self.asked.append("device")
        return Seen(device_id, None) if self._device is None else Unseen(device_id, self._device)

    async def _list(self) -> list[DeviceId]:
        self.asked.append("devices")
        if self._devices is not None:
            raise self._devices
        return [DEVICE]


async def test_a_device_that_can_be_looked_up_witnesses_for_its_cell_without_a_long_list() -> None:
    api = Api(cell=AWAY)

    assert await api.witness.beside_cell(CELL)
    assert api.asked == ["device"]


async def test_a_cell_that_is_answered_witnesses_for_the_look_up_of_its_device() -> None:
    api = Api(device=AWAY)

    assert await api.witness.beside_device(DEVICE)
    assert api.asked == ["cell"]


@pytest.mark.parametrize("error", [AWAY, UnreachableError("no route", CONTEXT)])
async def test_where_a_device_is_silent_altogether_the_list_of_devices_witnesses(error: ApiError) -> None:
    api = Api(cell=error, device=error)

    assert await api.witness.beside_cell(CELL)
    assert await api.witness.beside_device(DEVICE)
    assert api.asked == ["device", "devices", "cell", "devices"]


async def test_an_api_that_is_silent_everywhere_has_no_witness() -> None:
    api = Api(cell=AWAY, device=AWAY, devices=AWAY)

    assert not await api.witness.beside_cell(CELL)
    assert not await api.witness.beside_device(DEVICE)


async def test_an_answer_that_cannot_be_read_is_an_answer() -> None:
    garbled = DecodeError("no JSON", CONTEXT)

    assert await Api(device=garbled).witness.beside_cell(CELL)
    assert await Api(device=AWAY, devices=garbled).witness.beside_cell(CELL)


async def test_refused_credentials_are_no_witness_but_the_end() -> None:
    refused = CredentialsRefusedError("wrong secret", CONTEXT)

    with pytest.raises(CredentialsRefusedError):
        await Api(device=AWAY, devices=refused).witness.beside_cell(CELL)
