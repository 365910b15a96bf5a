"""Export: rows out of a store, as other programs read them, into files that are there whole or not at all."""

from __future__ import annotations

import fcntl
import json
import math
import os
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_cases import JULY, NOW, WEEK_28, batch, fetched, ids, month_of

from voltaware_async import Cell, Dataset, Month
from voltaware_async.cells import Fetched
from voltaware_async.errors import ConfigurationError, DeviceIdError
from voltaware_async.records.disaggregation import ApplianceConsumption, MonthByWeeks, WeekOfMonth
from voltaware_async.stores import open_store
from voltaware_async.stores.export import Filter, Format, writing
from voltaware_async.stores.export.output import Output, OutputError, place_of, whole_file
from voltaware_async.stores.export.writing import write_rows
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import CONSUMPTION, CYCLES, LEDGER, RUNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from voltaware_async.cells import Outcome
    from voltaware_async.stores import Store

SCHEMAS: Final = {**TABLES, **VIEWS}
ODD_IDS: Final = ids("0001", "it's", "''", "a\\'b", "$name", 'a"b', "a%b", "ä€𝄞", "x' OR 'x' = 'x")


# --- which rows -------------------------------------------------------------------------------------


def test_a_filter_of_nothing_asks_for_all_rows() -> None:
    assert Filter().where("runs", RUNS) == ""


def test_a_filter_is_worded_in_the_sql_of_both_databases() -> None:
    wanted = Filter(
        datasets=(Dataset.MONTH, Dataset.WEEK), periods=(JULY, WEEK_28), devices=(*ids("0001", "it's"),)
    )

    assert wanted.where("consumption", CONSUMPTION) == (
        " WHERE (dataset IN ('month', 'week'))"
        " AND (period_start >= DATE '2024-07-01' AND period_end <= DATE '2024-07-31'"
        " OR period_start >= DATE '2024-07-08' AND period_end <= DATE '2024-07-14')"
        " AND (device_id IN ('0001', 'it''s'))"
    )


@pytest.mark.parametrize(
    ("wanted", "table", "sentence"),
    [
        (Filter(periods=(JULY,)), "runs", "the table runs cannot be narrowed by period: it comes whole"),
        (
            Filter(devices=("1",), datasets=(Dataset.WEEK,)),
            "coverage",
            "the table coverage cannot be narrowed by device: only by dataset and period",
        ),
        (
            Filter(datasets=(Dataset.WEEK,)),
            "devices",
            "the table devices cannot be narrowed by dataset: only by device",
        ),
    ],
)
def test_a_table_that_lacks_what_it_is_to_be_narrowed_by_says_what_it_takes(
    wanted: Filter, table: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        wanted.where(table, SCHEMAS[table])

    assert str(refused.value) == sentence


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "a\nb", "x" * 513])
def test_a_filter_takes_no_text_that_is_no_device_id(text: str) -> None:
    with pytest.raises(DeviceIdError):
        Filter(devices=ids("0001", text))


@pytest.fixture(params=["duckdb", "parquet", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind: a month of each odd device, and of one its weeks as well."""
    targets = {
        "duckdb": lambda: str(tmp_path / "f.duckdb"),
        "parquet": lambda: f"parquet:{tmp_path / 'f'}",
        "postgres": lambda: str(request.getfixturevalue("postgres_url")),
    }
    target = targets[request.param]()
    with open_store(target) as store:
        store.begin("run-1", "pull", NOW)
        store.commit(batch(*(fetched(it) for it in ODD_IDS), *weeks_of("0001", Month(2024, 7))))
        store.finish("run-1", "complete", NOW, {})
    with open_store(target, read_only=True) as store:
        yield store


def weeks_of(device: str, month: Month) -> list[Outcome]:
    """Fetch a month by its weeks, clipped to it, and the full weeks whose Sunday falls in it."""
    used = (ApplianceConsumption("fridge", 1.0),)
    firsts = [month.start, *(month.start + timedelta(n) for n in range(1, 31))]
    starts = [day for day in firsts if day.weekday() == 0 or day == month.start]
    clipped = [
        WeekOfMonth(start, min(start + timedelta(6 - start.weekday()), month.end), 1.0, used)
        for start in starts
    ]
    return [
        Fetched(Cell(device, Dataset.MONTH_WEEKS, month), MonthByWeeks(31.0, 0.0, tuple(clipped))),
        *(Fetched(Cell(device, Dataset.WEEK, week), month_of(fridge=1.0)) for week in month.weeks()),
    ]


def rows_of(store: Store, table: str, wanted: Filter | None = None) -> list[dict[str, Any]]:
    with store.rows(table, wanted) as batches:
        return batches.read_all().to_pylist()


def test_a_device_is_found_by_its_own_characters_in_every_kind_of_store(store: Store) -> None:
    for device in ODD_IDS:
        rows = rows_of(store, "totals", Filter(devices=(device,), datasets=(Dataset.MONTH,)))
        assert [row["device_id"] for row in rows] == [device]


def test_of_more_devices_than_a_list_is_good_for_each_is_found_all_the_same(store: Store) -> None:
    many = [*ODD_IDS, *ids(*(f"unknown {number}" for number in range(1000)))]

    rows = rows_of(store, "totals", Filter(devices=many, datasets=(Dataset.MONTH,)))

    assert sorted(row["device_id"] for row in rows) == sorted(ODD_IDS)


def test_to_a_month_belong_its_clipped_weeks_and_the_full_weeks_that_lie_within_it(store: Store) -> None:
    """July 2024 begins on a Monday: its five weeks end on a Sunday, but for the last, which is clipped."""
    july = rows_of(store, "totals", Filter(periods=(JULY,), devices=ids("0001")))
    august = rows_of(store, "totals", Filter(periods=(Month(2024, 8),)))
    week_28 = rows_of(store, "totals", Filter(periods=(WEEK_28,)))

    days = sorted((row["dataset"], row["period_start"].day, row["period_end"].day) for row in july)
    clipped = [(1, 7), (8, 14), (15, 21), (22, 28), (29, 31)]
    assert days == sorted(
        [
            ("month", 1, 31),
            ("month_weeks", 1, 31),
            *(("month_weeks", *it) for it in clipped),
            *(("week", *it) for it in clipped[:4]),
        ]
    )
    assert august == []
    assert sorted(row["dataset"] for row in week_28) == ["month_weeks", "week"]


def test_what_is_repeated_widens_and_what_is_different_narrows(store: Store) -> None:
    of_two = rows_of(store, "consumption", Filter(devices=ids("0001", "it's"), datasets=(Dataset.MONTH,)))
    of_both = rows_of(
        store, "ledger", Filter(datasets=(Dataset.WEEK, Dataset.MONTH), periods=(JULY, WEEK_28))
    )

    assert sorted(row["device_id"] for row in of_two) == ["0001", "it's"]
    assert len(of_both) == len(ODD_IDS) + 4


@pytest.mark.parametrize("form", Format)
def test_every_table_and_view_of_every_kind_of_store_can_be_written(
    store: Store, tmp_path: Path, form: Format
) -> None:
    for name, schema in SCHEMAS.items():
        with store.rows(name) as batches, whole_file(tmp_path / "out") as output:
            rows = write_rows(batches, batches.schema, form, output)

        whole = in_order(store.table(name))
        assert rows == len(whole)
        assert in_order(read_back(tmp_path / "out", form, schema)) == whole, name
    assert rows_of(store, "totals")


# --- what is written --------------------------------------------------------------------------------


def written(table: pa.Table, form: Format, path: Path) -> bytes:
    with whole_file(path) as output:
        assert write_rows(table.to_batches(3), table.schema, form, output) == table.num_rows
    return path.read_bytes()


def read_back(path: Path, form: Format, schema: pa.Schema) -> pa.Table:
    """Read a file as other programs do; of CSV and JSON the types are told beforehand."""
    match form:
        case Format.PARQUET:
            table = pq.read_table(path)
            assert table.schema == schema
            return table
        case Format.CSV:
            options = pa.csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            parsing = pa.csv.ParseOptions(newlines_in_values=True)
            return pa.csv.read_csv(path, parse_options=parsing, convert_options=options).cast(schema)
        case Format.JSONL:
            lines = path.read_bytes().split(b"\n")
            assert lines.pop() == b""
            return pa.Table.from_pylist([from_json(json.loads(line), schema) for line in lines], schema)


def from_json(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    assert list(row) == schema.names
    return {name: from_json_value(value, schema.field(name).type) for name, value in row.items()}


def from_json_value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    if pa.types.is_timestamp(kind):
        instant = datetime.fromisoformat(value)
        assert (instant.tzinfo is None) == (kind.tz is None)
        return instant
    return float(value) if pa.types.is_floating(kind) else value


def in_order(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


CYCLE: Final = {
    "device_id": "0001",
    "dataset": "month_cycles",
    "period_start": date(2024, 7, 1),
    "period_end": date(2024, 7, 31),
    "appliance_key": "electric_vehicle",
    "start_local": datetime(2024, 7, 12, 0, 32, 53),  # noqa: DTZ001  the device's own clock
    "end_local": datetime(2024, 7, 12, 4, 0, 0, 250_000),  # noqa: DTZ001  the device's own clock
    "start_utc": datetime(2024, 7, 11, 22, 32, 53, tzinfo=UTC),
    "end_utc": datetime(2024, 7, 12, 2, 0, 0, 250_000, tzinfo=UTC),
    "ambiguous": False,
    "consumption_wh": 1917.0650024414062,
}
UNDATED: Final = {**CYCLE, "start_utc": None, "end_utc": None, "ambiguous": None, "consumption_wh": 10.0}


def test_csv_is_as_spreadsheets_and_databases_read_it(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([CYCLE, UNDATED], CYCLES)

    assert written(table, Format.CSV, tmp_path / "out").decode() == (
        "device_id,dataset,period_start,period_end,appliance_key,start_local,end_local,start_utc,end_utc,"
        "ambiguous,consumption_wh\n"
        "0001,month_cycles,2024-07-01,2024-07-31,electric_vehicle,2024-07-12T00:32:53,"
        "2024-07-12T04:00:00.250000,2024-07-11T22:32:53Z,2024-07-12T02:00:00.250000Z,false,1917.0650024414062\n"
        "0001,month_cycles,2024-07-01,2024-07-31,electric_vehicle,2024-07-12T00:32:53,"
        "2024-07-12T04:00:00.250000,,,,10\n"
    )


def test_json_lines_have_every_column_in_every_line(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([CYCLE, UNDATED], CYCLES)
    key = (
        '{"device_id":"0001","dataset":"month_cycles","period_start":"2024-07-01","period_end":"2024-07-31",'
        '"appliance_key":"electric_vehicle","start_local":"2024-07-12T00:32:53",'
        '"end_local":"2024-07-12T04:00:00.250000",'
    )

    assert written(table, Format.JSONL, tmp_path / "out").decode() == (
        f'{key}"start_utc":"2024-07-11T22:32:53Z","end_utc":"2024-07-12T02:00:00.250000Z",'
        '"ambiguous":false,"consumption_wh":1917.0650024414062}\n'
        f'{key}"start_utc":null,"end_utc":null,"ambiguous":null,"consumption_wh":10}}\n'
    )


def test_csv_quotes_what_wants_it_and_tells_no_characters_from_null(tmp_path: Path) -> None:
    errors = ['said "no"', "a,b", "two\nlines", "a\rb", "", None, " plain "]
    table = pa.table({"error": pa.array(errors), "n": pa.array(range(7))})

    assert written(table, Format.CSV, tmp_path / "out").decode() == (
        'error,n\n"said ""no""",0\n"a,b",1\n"two\nlines",2\n"a\rb",3\n"",4\n,5\n plain ,6\n'
    )


def test_json_escapes_what_wants_it_and_says_null_for_what_is_no_number(tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, None, 1e300]
    texts = ['"', "\\", "\n\x01", "ä€𝄞", None]
    table = pa.table({"text": pa.array(texts), "value": pa.array(values, pa.float64())})

    lines = written(table, Format.JSONL, tmp_path / "out").decode().splitlines()

    assert [json.loads(line) for line in lines] == [
        {"text": text, "value": value}
        for text, value in zip(texts, [None, None, None, None, 1e300], strict=True)
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_without_a_row_the_file_still_says_its_columns(tmp_path: Path, name: str) -> None:
    empty = SCHEMAS[name].empty_table()

    head = ",".join(empty.column_names)
    assert written(empty, Format.CSV, tmp_path / "csv").decode() == f"{head}\n"
    assert written(empty, Format.JSONL, tmp_path / "jsonl") == b""
    written(empty, Format.PARQUET, tmp_path / "parquet")
    assert read_back(tmp_path / "parquet", Format.PARQUET, empty.schema) == empty


TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
VALUES: Final[dict[pa.DataType, st.SearchStrategy[Any]]] = {
    pa.string(): TEXTS,
    pa.date32(): st.dates(date(1970, 1, 1), date(2999, 12, 31)),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
    pa.timestamp("us"): st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)),  # noqa: DTZ001  naive
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),  # noqa: DTZ001
}


def a_row(schema: pa.Schema) -> st.SearchStrategy[dict[str, Any]]:
    values = {
        field.name: st.none() | VALUES[field.type] if field.nullable else VALUES[field.type]
        for field in schema
    }
    return st.fixed_dictionaries(values)


@pytest.mark.parametrize(("form", "schema"), [*product(Format, [LEDGER, CYCLES])])
def test_what_is_written_reads_back_as_the_same(
    form: Format, schema: pa.Schema, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("law") / "out"

    @settings(max_examples=40)
    @given(st.lists(a_row(schema), max_size=8))
    def law(rows: Sequence[dict[str, Any]]) -> None:
        table = pa.Table.from_pylist(rows, schema)
        written(table, form, path)
        assert read_back(path, form, schema).to_pylist() == table.to_pylist()

    law()


def test_csv_and_json_lines_are_read_by_duckdb_without_being_told_more(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([CYCLE, UNDATED], CYCLES)
    written(table, Format.CSV, tmp_path / "out.csv")
    written(table, Format.JSONL, tmp_path / "out.jsonl")
    columns = "device_id, period_end, start_local, epoch_us(start_utc), ambiguous, consumption_wh"

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        csv, lines = (
            connection.execute(f"SELECT {columns} FROM {read}").fetchall()
            for read in (
                f"read_csv('{tmp_path}/out.csv', types = {{'device_id': 'VARCHAR'}})",
                f"read_json('{tmp_path}/out.jsonl', columns = {{{columns_for_json()}}})",
            )
        )

    instant = int(CYCLE["start_utc"].timestamp() * 1_000_000)
    day, start = CYCLE["period_end"], CYCLE["start_local"]
    assert csv == lines
    assert csv == [
        ("0001", day, start, instant, False, 1917.0650024414062),
        ("0001", day, start, None, None, 10.0),
    ]


def columns_for_json() -> str:
    kinds = {pa.timestamp("us", "UTC"): "TIMESTAMPTZ", pa.timestamp("us"): "TIMESTAMP", pa.date32(): "DATE"}
    kinds |= {pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
    return ", ".join(f"'{field.name}': '{kinds.get(field.type, 'VARCHAR')}'" for field in CYCLES)


def test_batches_are_gathered_into_row_groups_that_are_worth_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_GROUP_ROWS", 250)
    table = pa.table({"n": pa.array(range(1000))})

    with whole_file(tmp_path / "out") as output:
        rows = write_rows(table.to_batches(100), table.schema, Format.PARQUET, output)

    groups = pq.ParquetFile(tmp_path / "out").metadata
    assert rows == 1000
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [300, 300, 300, 100]
    assert pq.read_table(tmp_path / "out") == table


def test_rows_are_not_gathered_beyond_what_memory_is_meant_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_GROUP_BYTES", 1500)
    table = pa.table({"n": pa.array(range(1000))})

    with whole_file(tmp_path / "out") as output:
        write_rows(table.to_batches(100), table.schema, Format.PARQUET, output)

    assert pq.ParquetFile(tmp_path / "out").metadata.num_row_groups == 5


# --- a file that is there whole or not at all -------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("form", Format)
def test_an_error_on_the_way_leaves_what_was_there_and_nothing_beside_it(
    tmp_path: Path, form: Format
) -> None:
    """Also without a word of what a writer of Parquet would still like to write."""
    file = tmp_path / "out"
    file.write_bytes(b"as it was")
    rows = pa.table({"n": pa.array(range(1000))})

    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches()
        raise KeyError("the store is gone")

    with pytest.raises(KeyError), whole_file(file) as output:
        write_rows(batches(), rows.schema, form, output)

    assert file.read_bytes() == b"as it was"
    assert names_in(tmp_path) == ["out"]


def test_until_it_is_whole_a_file_is_what_it_was(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"as it was")

    with whole_file(file) as output:
        output.write(b"new")
        assert file.read_bytes() == b"as it was"

    assert file.read_bytes() == b"new"
    assert names_in(tmp_path) == ["out"]


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "out"

    with whole_file(file) as first:
        first.write(b"first ")
        with whole_file(file) as second:
            second.write(b"second")
        assert file.read_bytes() == b"second"
        first.write(b"and last")

    assert file.read_bytes() == b"first and last"
    assert names_in(tmp_path) == ["out"]


def test_a_left_over_of_a_killed_export_goes_with_the_next_and_no_other_file(tmp_path: Path) -> None:
    others = {"out.csv", ".out.csv.notes", ".other.csv.01.voltaware-part"}
    for name in (*others, ".out.csv.01.voltaware-part"):
        (tmp_path / name).write_bytes(b"half")

    with whole_file(tmp_path / "out.csv"):
        pass

    assert {*names_in(tmp_path)} == others


def test_a_draft_that_is_locked_is_no_left_over(tmp_path: Path) -> None:
    draft = tmp_path / ".out.01.voltaware-part"
    with draft.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with whole_file(tmp_path / "out"):
            pass
        assert draft.exists()


def test_a_name_with_marks_of_a_pattern_is_only_itself(tmp_path: Path) -> None:
    (tmp_path / ".a.01.voltaware-part").touch()

    with whole_file(tmp_path / "[a]*") as output:
        output.write(b"rows")

    assert names_in(tmp_path) == [".a.01.voltaware-part", "[a]*"]


def test_a_new_file_has_the_permissions_of_new_files_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "old").touch(0o640)
    (tmp_path / "old").chmod(0o640)
    mask = os.umask(0o027)
    try:
        for name in ("new", "old"):
            with whole_file(tmp_path / name) as output:
                output.write(b"rows")
    finally:
        os.umask(mask)

    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "old")] == [0o640, 0o640]
    assert (tmp_path / "old").read_bytes() == b"rows"


def test_of_a_link_the_file_that_it_means_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "there").write_bytes(b"as it was")
    for name in ("there", "not yet there"):
        link = tmp_path / f"link to {name}"
        link.symlink_to(folder / name)

        with whole_file(link) as output:
            output.write(b"new")

        assert link.is_symlink()
        assert (folder / name).read_bytes() == b"new"
    assert names_in(folder) == ["not yet there", "there"]


def test_a_place_where_no_file_can_be_is_refused_in_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    expected = {
        tmp_path: "is a directory: name a file in it",
        tmp_path / "pipe": "is no regular file: - writes to stdout",
        tmp_path / "circle": "is a link that leads nowhere but to itself",
        tmp_path / "no" / "out": f"cannot be written: there is no directory {tmp_path / 'no'}",
        tmp_path / "file" / "out": f"cannot be written: there is no directory {tmp_path / 'file'}",
        tmp_path / ("x" * 256): "cannot be written: File name too long",
    }

    for path, sentence in expected.items():
        with pytest.raises(ConfigurationError) as refused, whole_file(path):
            pass
        assert str(refused.value) == f"{path} {sentence}"


def test_a_name_that_leaves_no_room_for_the_drafts_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    assert place_of(path) == path

    with pytest.raises(ConfigurationError, match="File name too long"), whole_file(path):
        pass


def test_what_the_system_refuses_is_an_error_of_the_output_and_not_of_the_store() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = Output("out.csv", descriptor)
    try:
        with pytest.raises(OutputError) as refused:
            output.write(b"rows")

        assert str(refused.value) == "out.csv cannot be written: No space left on device"
        assert not isinstance(refused.value, OSError)
        assert output.write(b"more") == 4, "it goes nowhere, quietly"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("form", Format)
def test_a_full_disk_is_one_error_whatever_the_format(form: Format) -> None:
    table = pa.table({"n": pa.array(range(100_000)), "text": ["x"] * 100_000})
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OutputError):
            write_rows(table.to_batches(), table.schema, form, Output("out", descriptor))
    finally:
        os.close(descriptor)


# --- formats ----------------------------------------------------------------------------------------


def test_the_end_of_a_name_tells_the_format(tmp_path: Path) -> None:
    names = {"a.parquet": Format.PARQUET, "a.b.csv": Format.CSV, "A.JSONL": Format.JSONL}

    assert {name: Format.of(tmp_path / name) for name in names} == names


@pytest.mark.parametrize("name", ["a", "a.json", "a.csv.gz", ".csv"])
def test_another_end_is_answered_with_those_that_tell(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"end it in one of \.parquet, \.csv, \.jsonl, or name"):
        Format.of(tmp_path / name)
