"""Follower: what follows a run by its reports and by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from voltaware_async.fleet.summary import Progress, Summary

__all__ = ["Follower", "Followers"]


class Follower(Protocol):
    """Follow a run: a `Watcher` of the fleet that is also told that time passes."""

    def progressed(self, progress: Progress) -> None:
        """Take note of where the run stands."""

    def finished(self, summary: Summary) -> None:
        """Take note of the account."""

    def ticked(self) -> None:
        """Take note that a second has passed; called also when nothing progresses."""


@frozen
class Followers:
    """Follow a run together."""

    each: tuple[Follower, ...]

    def progressed(self, progress: Progress) -> None:
        """Tell each where the run stands."""
        for it in self.each:
            it.progressed(progress)

    def finished(self, summary: Summary) -> None:
        """Give each the account."""
        for it in self.each:
            it.finished(summary)

    def ticked(self) -> None:
        """Tell each that a second has passed."""
        for it in self.each:
            it.ticked()
