"""`voltaware export`: rows out, into files that are there whole or not at all."""

from __future__ import annotations

import json
import resource
import shlex
import signal
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import CLI, Ended, start
from processes import wait_until
from side_by_side import side_by_side

from voltaware_async import Cell, Dataset, DeviceId, Month, Week, open_store
from voltaware_async.cells import Absent, Fetched
from voltaware_async.records.disaggregation import ApplianceConsumption, Disaggregation
from voltaware_async.stores.batches import batch_of
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import CONSUMPTION, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = datetime(2024, 8, 3, 2, 30, tzinfo=UTC)
EXPORT: Final = ("export", "--store", "f.duckdb")
CONSUMED: Final = (*EXPORT, "--table", "consumption")
OLD: Final = b"what was there"

# Rows without end, and a first row that never comes.
JULY: Final = "'month', DATE '2024-07-01', DATE '2024-07-31'"
ENDLESS: Final = f"SELECT {JULY}, n, n, n, n FROM range(1000000000000) AS t(n)"
STUCK: Final = f"SELECT {JULY}, sum(n), 0, 0, 0 FROM range(1000000000000) AS t(n)"


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Path:
    """A store of two months and a week of a few devices."""
    cells = [
        *(Cell(DeviceId(f"000{number}"), Dataset.MONTH, Month(2024, 7)) for number in range(3)),
        Cell(DeviceId("0001"), Dataset.WEEK, Week(date(2024, 7, 8))),
        Cell(DeviceId("0001"), Dataset.MONTH, Month(2024, 8)),
    ]
    used = (ApplianceConsumption("fridge", 10.5), ApplianceConsumption("a,b", 2.0))
    outcomes = [Fetched(cell, Disaggregation(12.5, 0.0, used)) for cell in cells]
    absent = Absent(Cell(DeviceId("0009"), Dataset.MONTH, Month(2024, 7)))
    with open_store(tmp_path / "f.duckdb") as store:
        store.begin("run-1", "pull", NOW)
        store.commit(batch_of([*outcomes, absent], "run-1", NOW))
        store.finish("run-1", "complete", NOW, {"planned": 6, "landed": 5, "absent": 1})
    return tmp_path / "f.duckdb"


def show_as_coverage(store: Path, query: str) -> tuple[str, ...]:
    """Let the view `coverage` be something else, and return how to export it."""
    with duckdb.connect(store) as connection:
        names = ", ".join(VIEWS["coverage"].names)
        connection.execute(f"CREATE OR REPLACE VIEW coverage ({names}) AS {query}")
    return (*EXPORT, "--table", "coverage")


def the_sentence(ended: Ended) -> str:
    [line] = ended.talk.splitlines()
    return line.removeprefix("voltaware: ")


def what_is_there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"f.duckdb"}


# --- rows out ---------------------------------------------------------------------------------------


def test_the_end_of_the_name_tells_the_format(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    july = (*CONSUMED, "--month", "2024-07", "--dataset", "month", "--device", "0001")
    lines = [(*july, "--to", f"out.{form}") for form in ("csv", "jsonl", "parquet")]

    for line, ended in side_by_side(voltaware, lines).items():
        assert (ended.code, ended.out) == (0, "")
        assert ended.talk == f"voltaware: 2 rows of consumption to {line[-1]}\n"

    assert (tmp_path / "out.csv").read_text() == (
        "device_id,dataset,period_start,period_end,appliance_key,consumption_wh\n"
        "0001,month,2024-07-01,2024-07-31,fridge,10.5\n"
        '0001,month,2024-07-01,2024-07-31,"a,b",2\n'
    )
    assert (tmp_path / "out.jsonl").read_text() == (
        '{"device_id":"0001","dataset":"month","period_start":"2024-07-01","period_end":"2024-07-31",'
        '"appliance_key":"fridge","consumption_wh":10.5}\n'
        '{"device_id":"0001","dataset":"month","period_start":"2024-07-01","period_end":"2024-07-31",'
        '"appliance_key":"a,b","consumption_wh":2}\n'
    )
    parquet = pq.read_table(tmp_path / "out.parquet")
    assert parquet.schema == CONSUMPTION
    assert parquet["appliance_key"].to_pylist() == ["fridge", "a,b"]
    assert what_is_there(tmp_path) == {"out.csv", "out.jsonl", "out.parquet"}


def test_rows_go_to_stdout_and_talk_to_stderr(voltaware: Callable[..., Ended]) -> None:
    totals = (*EXPORT, "--table", "totals", "--to", "-", "--format")
    csv, jsonl = side_by_side(voltaware, [(*totals, "csv"), (*totals, "jsonl")]).values()

    head, *rows = csv.out.splitlines()
    assert head.startswith("device_id,dataset,")
    assert len(rows) == len(jsonl.out.splitlines()) == 5
    assert {json.loads(line)["total_consumption_wh"] for line in jsonl.out.splitlines()} == {12.5}
    for ended in (csv, jsonl):
        assert (ended.code, ended.talk) == (0, "voltaware: 5 rows of totals to stdout\n")


def test_filters_of_one_kind_widen_and_of_two_kinds_narrow(voltaware: Callable[..., Ended]) -> None:
    expected = {
        (): 10,
        ("--month", "2024-07"): 8,
        ("--month", "2024-07", "--dataset", "month"): 6,
        ("--month", "2024-07", "--month", "2024-08"): 10,
        ("--week", "2024-W28"): 2,
        ("--week", "2024-W28", "--month", "2024-08"): 4,
        ("--device", "0000", "--device", "0002"): 4,
        ("--device", "0001", "--dataset", "week", "--dataset", "month_report"): 2,
        ("--device", "it's"): 0,
    }
    lines = {
        (*CONSUMED, "--to", "-", "--format", "csv", *narrowed): rows for narrowed, rows in expected.items()
    }

    ended = side_by_side(voltaware, list(lines))

    assert {line: it.out.count("\n") - 1 for line, it in ended.items()} == lines


def test_ids_may_come_from_a_file(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("0000\n0002\n")

    ended = voltaware(*CONSUMED, "--devices-from", "ids.txt", "--to", "-", "--format", "jsonl")

    assert {json.loads(line)["device_id"] for line in ended.out.splitlines()} == {"0000", "0002"}


def test_any_name_may_have_any_format(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    ended = voltaware(*CONSUMED, "--to", "rows.txt", "--format", "parquet")

    assert ended.code == 0
    assert pq.read_table(tmp_path / "rows.txt").num_rows == 10


def test_an_export_replaces_the_last_one_and_keeps_a_link(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "latest.csv").symlink_to("kept/july.csv")
    (tmp_path / "kept" / "july.csv").write_bytes(OLD)

    ended = voltaware(*CONSUMED, "--to", "latest.csv")

    assert ended.code == 0
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "kept" / "july.csv").read_text().startswith("device_id,")


def test_the_help_names_every_table_and_view(voltaware: Callable[..., Ended]) -> None:
    shown = voltaware("export", "--help").out.replace(",", " ").replace(".", " ").split()

    assert {*TABLES, *VIEWS} <= set(shown)


# --- what is refused --------------------------------------------------------------------------------


def test_what_cannot_be_exported_is_wrong_usage_and_says_what_can(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "folder.csv").mkdir()
    names = ", ".join((*TABLES, *VIEWS))
    expected = {
        (*EXPORT, "--table", "consumtion", "--to", "out.csv"): (
            f"there is no table 'consumtion'; there are {names}"
        ),
        (*EXPORT, "--table", "runs", "--to", "out.csv", "--month", "2024-07"): (
            "the table runs cannot be narrowed by period: it comes whole"
        ),
        (*CONSUMED, "--to", "folder.csv"): "folder.csv is a directory: name a file in it",
        (*CONSUMED, "--to", "no/out.csv"): (
            f"no/out.csv cannot be written: there is no directory {tmp_path / 'no'}"
        ),
        (*CONSUMED, "--to", "/dev/null", "--format", "csv"): (
            "/dev/null is no regular file: - writes to stdout"
        ),
        (*CONSUMED, "--to", "f.duckdb", "--format", "csv"): (
            "f.duckdb is the store itself, or lies within it: name another file"
        ),
        ("export", "--store", f"parquet:{tmp_path}", "--table", "runs", "--to", "out.csv"): (
            "out.csv is the store itself, or lies within it: name another file"
        ),
    }

    ended = side_by_side(voltaware, list(expected))

    assert {line: the_sentence(it) for line, it in ended.items()} == expected
    assert {it.code for it in ended.values()} == {2}
    assert what_is_there(tmp_path) == {"folder.csv"}


def test_a_format_that_is_not_told_is_asked_for(voltaware: Callable[..., Ended]) -> None:
    as_text = "rows go to stdout as text: say which, --format csv or --format jsonl"
    expected = {
        (*CONSUMED, "--to", "out.txt"): (
            "the name out.txt does not tell the format: end it in one of .parquet, .csv, .jsonl, "
            "or name the format with --format"
        ),
        (*CONSUMED, "--to", "-"): as_text,
        (*CONSUMED, "--to", "-", "--format", "parquet"): as_text,
    }

    ended = side_by_side(voltaware, list(expected))

    assert {line: it.talk.splitlines()[-1] for line, it in ended.items()} == {
        line: f"Error: {sentence}" for line, sentence in expected.items()
    }
    assert {it.code for it in ended.values()} == {2}


def test_a_store_that_is_not_there_is_not_made(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    ended = voltaware("export", "--store", "missing.duckdb", "--table", "runs", "--to", "out.csv")

    assert (ended.code, the_sentence(ended)) == (5, "there is no store missing.duckdb yet: a pull creates it")
    assert what_is_there(tmp_path) == set()


# --- what happens on the way ------------------------------------------------------------------------


def drafts(folder: Path) -> list[Path]:
    """Return the drafts into which something has been written."""
    return [path for path in folder.glob(".out.*") if path.exists() and path.stat().st_size]


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_kill_in_the_middle_leaves_the_old_file_and_the_next_export_tidies_up(
    environment: dict[str, str], voltaware: Callable[..., Ended], tmp_path: Path, store: Path, form: str
) -> None:
    endless = show_as_coverage(store, ENDLESS)
    file = tmp_path / f"out.{form}"
    file.write_bytes(OLD)

    with start(*endless, "--to", file.name, cwd=tmp_path, env=environment) as process:
        assert wait_until(lambda: bool(drafts(tmp_path)), process)
        process.kill()
        process.communicate()

    assert file.read_bytes() == OLD
    assert drafts(tmp_path)
    assert voltaware(*CONSUMED, "--to", file.name).code == 0
    assert file.read_bytes() != OLD
    assert what_is_there(tmp_path) == {file.name}


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_signal_ends_it_in_order_and_leaves_the_old_file(
    environment: dict[str, str], tmp_path: Path, store: Path, form: str, signum: int, code: int
) -> None:
    endless = show_as_coverage(store, ENDLESS)
    file = tmp_path / f"out.{form}"
    file.write_bytes(OLD)

    with start(*endless, "--to", file.name, cwd=tmp_path, env=environment) as process:
        assert wait_until(lambda: bool(drafts(tmp_path)), process)
        process.send_signal(signum)
        out, talk = process.communicate(timeout=10)

    assert (process.returncode, out) == (code, "")
    assert talk == "voltaware: stopping. Once more ends it at once.\n"
    assert file.read_bytes() == OLD
    assert what_is_there(tmp_path) == {file.name}


def test_a_signal_ends_it_also_while_the_store_has_no_first_row_yet(
    environment: dict[str, str], tmp_path: Path, store: Path
) -> None:
    stuck = show_as_coverage(store, STUCK)

    with start(*stuck, "--to", "out.csv", cwd=tmp_path, env=environment) as process:
        assert wait_until(lambda: is_held(store), process)
        process.send_signal(signal.SIGTERM)
        out, talk = process.communicate(timeout=10)

    assert (process.returncode, out) == (143, "")
    assert talk == "voltaware: stopping. Once more ends it at once.\n"
    assert not (tmp_path / "out.csv").exists()


def is_held(store: Path) -> bool:
    return f":{store.stat().st_ino} " in Path("/proc/locks").read_text()


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_says_so(
    environment: dict[str, str], tmp_path: Path, store: Path, form: str
) -> None:
    endless = show_as_coverage(store, ENDLESS)
    file = tmp_path / f"out.{form}"
    file.write_bytes(OLD)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))

    with start(*endless, "--to", file.name, cwd=tmp_path, env=environment, preexec_fn=limit) as process:
        out, talk = process.communicate(timeout=30)

    assert (process.returncode, out) == (1, "")
    assert talk == f"voltaware: out.{form} cannot be written: File too large\n"
    assert file.read_bytes() == OLD
    assert what_is_there(tmp_path) == {file.name}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_store_that_turns_out_to_be_spoilt_leaves_the_old_file(
    voltaware: Callable[..., Ended], tmp_path: Path, store: Path, form: str
) -> None:
    n = "CASE WHEN n < 500000 THEN n ELSE error('spoilt') END"
    spoilt = show_as_coverage(store, f"SELECT {JULY}, {n}, n, n, n FROM range(1000000) AS t(n)")
    (tmp_path / f"out.{form}").write_bytes(OLD)

    ended = voltaware(*spoilt, "--to", f"out.{form}")

    assert (ended.code, ended.out) == (5, "")
    assert the_sentence(ended).startswith("f.duckdb cannot be used: ")
    assert (tmp_path / f"out.{form}").read_bytes() == OLD
    assert what_is_there(tmp_path) == {f"out.{form}"}


def test_a_stdout_that_is_full_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    with start_in_shell("> /dev/full", environment, tmp_path) as process:
        _, talk = process.communicate(timeout=30)

    assert (process.returncode, talk) == (
        1,
        "voltaware: stdout cannot be written: No space left on device\n",
    )


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(
    environment: dict[str, str], tmp_path: Path, store: Path
) -> None:
    show_as_coverage(store, ENDLESS)
    with start_in_shell("| head -n 2", environment, tmp_path, table="coverage") as process:
        out, talk = process.communicate(timeout=30)

    assert out.splitlines()[1].startswith("month,2024-07-01,2024-07-31,0,")
    assert talk == ""


def start_in_shell(
    further: str, environment: dict[str, str], folder: Path, table: str = "consumption"
) -> subprocess.Popen[str]:
    command = shlex.join([*CLI, *EXPORT, "--table", table, "--to", "-", "--format", "csv"])
    return subprocess.Popen(
        ["/bin/sh", "-c", f"{command} {further}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_exports_to_the_same_file_both_end_and_it_is_whole(
    voltaware: Callable[..., Ended], tmp_path: Path, store: Path
) -> None:
    few = ENDLESS.replace("1000000000000", "500000")
    many = (*show_as_coverage(store, few), "--to", "out.csv")

    ended = side_by_side(voltaware, [many, (*many, "--format", "csv"), (*many, "--dataset", "month")])

    assert [it.code for it in ended.values()] == [0, 0, 0]
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 500_001
    assert lines[-1].endswith(",499999")
    assert what_is_there(tmp_path) == {"out.csv"}
