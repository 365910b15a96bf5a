"""Stores that break or hold on purpose: a real store behind a wrapper, so that what lands is real."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from voltaware_async import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

T = TypeVar("T")

PATIENCE_S = 10.0


class Wrapped:
    """Pass everything on to a store, and keep how large each committed batch was."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.committed: list[int] = []
        self.inside = 0
        self.most_inside = 0

    def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
        restated = self.alone(lambda: self.store.commit(batch, refreshes=refreshes))
        self.committed.append(len(batch))
        return restated

    def alone(self, call: Callable[[], T]) -> T:
        """Notice a second caller: a store wants one at a time."""
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            return call()
        finally:
            self.inside -= 1

    def finish(self, *args: object) -> None:
        self.alone(lambda: self.store.finish(*args))

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


class Held(Wrapped):
    """Hold a method in its thread until it is let go; `entered` tells that it is there."""

    def __init__(self, store: Store, method: str) -> None:
        super().__init__(store)
        self.entered = threading.Event()
        self.let_go = threading.Event()
        real = getattr(self, method)
        setattr(self, method, lambda *args, **options: self._held(lambda: real(*args, **options)))

    def _held(self, call: Callable[[], object]) -> object:
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S), "nobody let the store go"
        return call()


class Broken(Wrapped):
    """Raise StoreError at the named methods, from their n-th call on."""

    def __init__(self, store: Store, **calls: int) -> None:
        super().__init__(store)
        for method, first in calls.items():
            self._break(method, first)

    def _break(self, method: str, first: int) -> None:
        real = getattr(self, method)
        calls = 0

        def broken(*args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= first:
                raise StoreError(f"{method} no longer works")
            return real(*args, **options)

        setattr(self, method, broken)
