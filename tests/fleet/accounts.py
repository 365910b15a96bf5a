"""What every ending of a landing must leave: an account that adds up, and a ledger and a run that agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async import Progress, Summary
    from voltaware_async.stores import Store


class Watched:
    """Keep what a run said of itself; `react` may do something about its progress."""

    def __init__(self, react: Callable[[Progress], None] | None = None) -> None:
        self.progress: list[Progress] = []
        self.summaries: list[Summary] = []
        self._react = react

    def progressed(self, progress: Progress) -> None:
        self.progress.append(progress)
        if self._react is not None:
            self._react(progress)

    def finished(self, summary: Summary) -> None:
        self.summaries.append(summary)

    @property
    def summary(self) -> Summary:
        [summary] = self.summaries
        return summary


def ledger_of(store: Store) -> dict[str, dict[str, object]]:
    """Return the ledger's rows by device; for runs of one dataset and period."""
    return {row["device_id"]: row for row in store.table("ledger").to_pylist()}


def last_run(store: Store) -> dict[str, object]:
    run: dict[str, object] = store.table("runs").to_pylist()[-1]
    return run


def check_account(summary: Summary, store: Store, outcome: str | None) -> None:
    """Compare the account with the ledger and with the row of the run."""
    assert summary.planned == summary.landed + summary.absent + summary.failed + summary.unasked
    assert summary.unasked >= 0
    statuses = [row["status"] for row in store.table("ledger").to_pylist() if row["run_id"] == summary.run_id]
    assert (statuses.count("landed"), statuses.count("absent"), statuses.count("failed")) == (
        summary.landed,
        summary.absent,
        summary.failed,
    )
    run = last_run(store)
    assert run["run_id"] == summary.run_id
    assert run["outcome"] == outcome
    if outcome is not None:
        assert {name: run[name] for name in summary.counts()} == summary.counts()
