"""Measure what decoding costs beside parsing the same JSON: µs per reply, per dataset.

    python benchmarks/decoding.py [--rounds 41] [--replies 500]

The replies are the documentation's examples, and a list of ids as it prints them, with leading zeros: which
is not JSON, so that there is nothing to compare with. There is no bar in the design.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING, Final

import orjson
from canned import documented, documented_ids
from report import print_machine, print_table

from voltaware_async import Dataset
from voltaware_async.protocol.codec import DEVICE_IDS
from voltaware_async.protocol.endpoints import BY_DATASET

if TYPE_CHECKING:
    from collections.abc import Callable

IDS: Final = 1000


def cpu_us(decode: Callable[[bytes], object], body: bytes, replies: int) -> float:
    """Return µs of CPU per reply."""
    started = time.process_time()
    for _ in range(replies):
        decode(body)
    return (time.process_time() - started) / replies * 1e6


def row(dataset: Dataset, rounds: int, replies: int) -> list[str]:
    """Measure one dataset, alternating with the bare parser."""
    codec, body = BY_DATASET[dataset].reply, documented(dataset)
    if codec is None:
        raise TypeError(f"{dataset} has no reply")
    pairs = [
        (cpu_us(codec.decode, body, replies), cpu_us(orjson.loads, body, replies)) for _ in range(rounds)
    ]
    decoded, loaded = (median(side) for side in zip(*pairs, strict=True))
    ratio = median(ours / theirs for ours, theirs in pairs)
    return [dataset, f"{len(body):,}", f"{decoded:.2f}", f"{loaded:.2f}", f"{ratio:.1f}"]


def ids_row(rounds: int) -> list[str]:
    """Measure a list of ids."""
    body = documented_ids(IDS)
    decoded = median(cpu_us(DEVICE_IDS.decode, body, 10) for _ in range(rounds))
    return [f"{IDS:,} ids", f"{len(body):,}", f"{decoded:.0f}", "-", "-"]


def main() -> None:
    """Print a row per dataset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--replies", type=int, default=500, help="per round and side")
    settings = parser.parse_args()
    print_machine()
    rows = [row(dataset, settings.rounds, settings.replies) for dataset in Dataset]
    head = "reply", "bytes", "decode µs", "orjson.loads µs", "x orjson"
    print_table(head, [*rows, ids_row(settings.rounds)])


if __name__ == "__main__":
    main()
