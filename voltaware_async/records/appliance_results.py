"""From the keys of appliances in the metadata to those in results: never one to one.

Source: Disaggregation, Month, the table of appliances; Metadata, Appliances, AC.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from voltaware_async.records.appliance_choices import MetadataKey
from voltaware_async.records.disaggregation import ApplianceKey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["result_keys"]

_RESULT_KEYS: Final[Mapping[MetadataKey, frozenset[ApplianceKey]]] = MappingProxyType(
    {
        MetadataKey.AC: frozenset({ApplianceKey.COOLING, ApplianceKey.HEATING}),
        MetadataKey.DISHWASHER: frozenset({ApplianceKey.WASHING}),
        MetadataKey.ELECTRIC_BOILER: frozenset({ApplianceKey.BOILER}),
        MetadataKey.ELECTRIC_HEATING: frozenset({ApplianceKey.HEATING, ApplianceKey.COOKING_HEATING}),
        MetadataKey.ELECTRIC_OVEN: frozenset({ApplianceKey.COOKING, ApplianceKey.COOKING_HEATING}),
        MetadataKey.ELECTRIC_STOVE: frozenset({ApplianceKey.COOKING, ApplianceKey.COOKING_HEATING}),
        MetadataKey.ELECTRIC_VEHICLE: frozenset({ApplianceKey.ELECTRIC_VEHICLE}),
        MetadataKey.FRIDGE: frozenset({ApplianceKey.FRIDGE}),
        MetadataKey.JACUZZI: frozenset({ApplianceKey.OTHERS}),
        MetadataKey.TUMBLE_DRYER: frozenset({ApplianceKey.WASHING}),
        MetadataKey.WASHING_MACHINE: frozenset({ApplianceKey.WASHING}),
    }
)


def result_keys(key: MetadataKey) -> frozenset[ApplianceKey]:
    """Return the keys under which the documentation shows an appliance in results; empty where it names none.

    Several appliances share a key, and one appliance may show under several.
    """
    return _RESULT_KEYS.get(key, frozenset())
