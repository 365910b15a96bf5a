"""What lands in one kind of store lands in any other: the same answers, rows, views and types."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from attrs import define, field
from postgres_server import own_schema
from store_cases import KINDS, NOW, WEEK_28, batch, cell, rows_of

from voltaware_async import VoltawareClient
from voltaware_async.cells import Dataset, Fetched
from voltaware_async.periods import Month
from voltaware_async.protocol import codec
from voltaware_async.sandbox import Sandbox
from voltaware_async.stores import open_store
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import ROWS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from store_cases import Rows

    from voltaware_async.stores import Store

SAMPLES: Final = Path(__file__).parents[1] / "samples"
TONIGHT: Final = date(2024, 9, 15)
Call = tuple[str, tuple[Any, ...], dict[str, Any], object]
OTHERS: Final = [kind for kind in KINDS if kind != "duckdb"]

DECODED: Final = {
    Dataset.MONTH: codec.DISAGGREGATION,
    Dataset.MONTH_WEEKS: codec.MONTH_BY_WEEKS,
    Dataset.WEEK: codec.DISAGGREGATION,
    Dataset.MONTH_CYCLES: codec.CYCLES,
    Dataset.WEEK_CYCLES: codec.CYCLES,
    Dataset.MONTH_REPORT: codec.MONTH_REPORT,
    Dataset.WEEK_REPORT: codec.WEEK_REPORT,
}


def documented(dataset: Dataset) -> Fetched:
    """Return the outcome of a cell for which the API answers with the documentation's example."""
    period = Month(2023, 9) if dataset.period_type is Month else WEEK_28
    record = DECODED[dataset].decode((SAMPLES / f"{dataset.value}.json").read_bytes())
    return Fetched(cell("documented", dataset, period), record)


DOCUMENTED: Final = [documented(dataset) for dataset in Dataset]


@define
class Heard:
    """Stand before a store, and keep what was said to it and what it answered."""

    store: Store
    calls: list[Call] = field(factory=list)

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self.store, name)

        @wraps(method)
        def call(*arguments: object, **options: object) -> object:
            answer = method(*arguments, **options)
            self.calls.append((name, arguments, options, answer))
            return answer

        return call


async def two_nights(store: Store) -> None:
    """Sync a fleet; then once more, when the API has restated everything: another seed makes other homes."""
    for seed, refresh_months in ((7, 0), (8, 1)):
        async with Sandbox(devices=30, seed=seed, today=TONIGHT) as sandbox:
            credentials = sandbox.client_id, sandbox.client_secret
            async with VoltawareClient(*credentials, base_url=sandbox.base_url, rate=None) as client:
                await client.fleet.sync(store, as_of=TONIGHT, horizon_months=1, refresh_months=refresh_months)


def say_again(calls: Sequence[Call], store: Store) -> None:
    """Say the same to another store, and compare what it answers."""
    for name, arguments, options, answer in calls:
        assert getattr(store, name)(*arguments, **options) == answer, name


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, any_postgres: str) -> Iterator[Mapping[str, Store]]:
    """Land the documentation's examples and two nights in a store of each kind, and open them to read."""
    folder = tmp_path_factory.mktemp("stores")
    with own_schema(any_postgres) as url, ExitStack() as reading:
        targets = {"duckdb": f"{folder}/fleet.duckdb", "parquet": f"parquet:{folder}/fleet", "postgres": url}
        with open_store(targets["duckdb"]) as store:
            heard = Heard(store)
            heard.commit(batch(*DOCUMENTED))
            anyio.run(two_nights, heard)
        for kind in OTHERS:
            with open_store(targets[kind]) as store:
                say_again(heard.calls, store)
        yield {
            kind: reading.enter_context(open_store(target, read_only=True))
            for kind, target in targets.items()
        }


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", TABLES)
def test_a_pull_lands_the_same_rows_in_every_table_of_every_store(
    stores: Mapping[str, Store], kind: str, name: str
) -> None:
    expected = rows_of(stores["duckdb"], name)
    assert expected
    assert rows_of(stores[kind], name) == expected


def words_and_sums(store: Store, name: str) -> tuple[list[str], list[float]]:
    """Return what rows say but for numbers, in order, and the numbers, which may have been added up."""
    rows = [
        (repr([it for it in row if not isinstance(it, float)]), [it for it in row if isinstance(it, float)])
        for row in rows_of(store, name)
    ]
    rows.sort()
    return [words for words, _ in rows], [number for _, numbers in rows for number in numbers]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", VIEWS)
def test_every_view_shows_the_same_in_every_store_but_for_the_order_in_which_it_was_added_up(
    stores: Mapping[str, Store], kind: str, name: str
) -> None:
    words, sums = words_and_sums(stores["duckdb"], name)
    assert words
    assert words_and_sums(stores[kind], name) == (words, pytest.approx(sums, rel=1e-9, abs=1e-9))


@pytest.mark.parametrize("kind", OTHERS)
def test_every_question_has_the_same_answer_in_every_store(stores: Mapping[str, Store], kind: str) -> None:
    for ask in (
        lambda store: store.coverage(),
        lambda store: store.last_run(),
        lambda store: store.expected_until(),
        lambda store: store.failures(),
        lambda store: store.failed_devices(),
        lambda store: store.findings(),
        lambda store: store.revisions(limit=1000),
        lambda store: store.knows_devices(),
    ):
        assert ask(stores[kind]) == ask(stores["duckdb"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_every_table_and_view_has_its_pinned_types_also_where_its_rows_are_streamed(
    stores: Mapping[str, Store], kind: str, name: str
) -> None:
    pinned = {**TABLES, **VIEWS}[name]
    whole = stores[kind].table(name)
    assert whole.schema == pinned
    with stores[kind].rows(name) as batches:
        assert batches.schema == pinned
        streamed = batches.read_all()
    assert streamed.schema == pinned
    assert streamed.num_rows == whole.num_rows


def test_an_empty_store_has_the_pinned_types_too(store: Store) -> None:
    for name, pinned in {**TABLES, **VIEWS}.items():
        assert store.table(name).schema == pinned
        with store.rows(name) as batches:
            assert batches.read_all().schema == pinned


def test_the_documentations_examples_land_as_they_are_shown(store: Store) -> None:
    landed = batch(*DOCUMENTED)
    store.commit(landed)
    expected: dict[str, Rows] = {
        name: sorted((tuple(row.values()) for row in landed.tables[name].to_pylist()), key=repr)
        for name in (*ROWS, "ledger")
    }
    assert all(expected.values())
    assert {name: rows_of(store, name) for name in expected} == expected
    assert NOW in expected["ledger"][0]
