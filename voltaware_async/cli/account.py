"""The account of a run, for people on stderr or as JSON on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from voltaware_async.cli.hints import hint
from voltaware_async.cli.talk import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voltaware_async.fleet.summary import Summary

__all__ = ["print_account"]


def print_account(summary: Summary, command: str, target: str, *, as_json: bool) -> None:
    """Say how every planned cell ended, and what to do about those that did not end well."""
    if as_json:
        click.echo(json.dumps(summary.as_dict()))
        return
    for line in _lines(summary, command, target):
        say(line)


def _lines(summary: Summary, command: str, target: str) -> list[str]:
    minutes, seconds = divmod(summary.elapsed_s, 60)
    took = f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
    requests = (
        f"{summary.requests} requests in {took} ({summary.rate_per_s:.1f}/s): {summary.retries} retries, "
        f"{summary.throttled} throttled, {summary.token_calls} token calls"
    )
    lines = [_cells(summary, command), requests]
    lines += _remarks(summary, target)
    if summary.failed:
        lines.append(f"why cells failed:  {hint('status --failed', target)}")
    if not summary.is_complete:
        lines.append(_next(summary))
    return lines


def _next(summary: Summary) -> str:
    """Say what the same command does next: of a refresh there are traces in the summary."""
    if summary.restated or summary.kept:
        return "the same command again asks once more also for what has landed"
    return "the same command again asks only what has not landed"


def _remarks(summary: Summary, target: str) -> Iterator[str]:
    """Say what whoever bills by these rows must know."""
    if summary.restated:
        yield f"{summary.restated} cells were restated:  {hint('status --restated', target)}"
    if summary.kept:
        yield f"{summary.kept} cells that had landed have no result or failed now: what had landed stays"
    if summary.zone_unknown:
        yield (
            f"{summary.zone_unknown} cells have cycles of a device whose time zone is not known: "
            "their UTC columns are null"
        )
    if summary.reports_unknown:
        reports = summary.reports_wh + summary.reports_kwh + summary.reports_unknown
        yield (
            f"{summary.reports_unknown} of {reports} reports have daily figures in a unit that cannot be "
            "told: their consumption_wh is null"
        )


def _cells(summary: Summary, command: str) -> str:
    if summary.planned:
        return (
            f"{summary.planned} cells: {summary.landed} landed, {summary.absent} absent (the API has no "
            f"result), {summary.failed} failed, {summary.unasked} unasked; {summary.skipped} needed no asking"
        )
    if command == "retry-failed":
        return "nothing to ask: no cell failed last time"
    if summary.skipped:
        return f"nothing to ask: {summary.skipped} cells landed before, or are absent and not yet due again"
    return "nothing to ask: no device is listed, nothing is due, or the run ended before that was known"
