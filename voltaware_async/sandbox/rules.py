"""The kinds of rule that a JSON value can be held against; what the rules are stands in `metadata_rules`."""

import math
from collections.abc import Mapping
from typing import Protocol

from attrs import frozen


class Rule(Protocol):
    """A rule for one JSON value."""

    def complaint(self, value: object, where: str) -> str | None:
        """Return what is wrong with the value that stands at `where`, in one sentence, or None."""


@frozen
class OneOf:
    """One of some strings; `hint` says more to somebody who sent another."""

    values: tuple[str, ...]
    hint: str = ""

    def complaint(self, value: object, where: str) -> str | None:
        """Return the accepted values if it is none of them."""
        if isinstance(value, str) and value in self.values:
            return None
        return f"{where} must be one of {', '.join(self.values)}{self.hint}"


@frozen
class Text:
    """Any string."""

    def complaint(self, value: object, where: str) -> str | None:
        """Return a sentence unless it is a string."""
        return None if isinstance(value, str) else f"{where} must be a string"


@frozen
class Flag:
    """true or false."""

    def complaint(self, value: object, where: str) -> str | None:
        """Return a sentence unless it is a boolean."""
        return None if isinstance(value, bool) else f"{where} must be true or false"


@frozen
class Integer:
    """A JSON number without a fraction, perhaps with a minimum; true is no integer, nor is 2.0."""

    minimum: int | None = None

    def complaint(self, value: object, where: str) -> str | None:
        """Return a sentence unless it is an integer of at least the minimum."""
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{where} must be an integer"
        if self.minimum is not None and value < self.minimum:
            return f"{where} must be at least {self.minimum}"
        return None


@frozen
class Decimal:
    """A finite JSON number, with or without a fraction, perhaps within bounds."""

    low: float = -math.inf
    high: float = math.inf

    def complaint(self, value: object, where: str) -> str | None:
        """Return a sentence unless it is a finite number within the bounds."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return f"{where} must be a number"
        if not self.low <= value <= self.high:
            return f"{where} must be from {self.low:g} to {self.high:g}"
        return None


@frozen
class ListOf:
    """An array, perhaps empty, whose items all keep one rule."""

    item: Rule

    def complaint(self, value: object, where: str) -> str | None:
        """Return the first complaint about an item."""
        if not isinstance(value, list):
            return f"{where} must be an array"
        complaints = (self.item.complaint(item, f"{where}[{number}]") for number, item in enumerate(value))
        return next((complaint for complaint in complaints if complaint), None)


@frozen
class Fields:
    """An object with exactly these fields."""

    fields: Mapping[str, Rule]

    def complaint(self, value: object, where: str) -> str | None:
        """Return the first field that is missing, unknown or wrong."""
        if not isinstance(value, dict):
            return f"{where} must be an object"
        for name in self.fields:
            if name not in value:
                return f"{where}.{name} is missing"
        for name in value:
            if name not in self.fields:
                return f"{where}.{name} is not a field here"
        complaints = (rule.complaint(value[name], f"{where}.{name}") for name, rule in self.fields.items())
        return next((complaint for complaint in complaints if complaint), None)


@frozen
class Variants:
    """An object whose other fields depend on the word in one of them."""

    tag: str
    variants: Mapping[str, Rule]
    hint: str = ""

    def complaint(self, value: object, where: str) -> str | None:
        """Return a complaint about the word, or about the fields that it asks for."""
        if not isinstance(value, dict):
            return f"{where} must be an object"
        if self.tag not in value:
            return f"{where}.{self.tag} is missing"
        word = value[self.tag]
        unknown = OneOf(tuple(self.variants), self.hint).complaint(word, f"{where}.{self.tag}")
        return unknown or self.variants[word].complaint(value, where)


@frozen
class AsManyAs:
    """A rule, and besides that one array of the object has as many items as another field says."""

    rule: Rule
    items: str
    amount: str

    def complaint(self, value: object, where: str) -> str | None:
        """Return the rule's own complaint first, then one about the length."""
        complaint = self.rule.complaint(value, where)
        if complaint or not isinstance(value, dict) or len(value[self.items]) == value[self.amount]:
            return complaint
        return f"{where}.{self.items} must have as many items as {self.amount} says"
