"""The `voltaware` command: a file per command.

Data goes to stdout, talk to stderr. Commands read their arguments here, and leave the work to the SDK.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command and exit with its code; the codes are in `exits`."""
    try:
        from voltaware_async.cli.command import voltaware  # noqa: PLC0415  click is an extra
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(f"voltaware: the command needs {error.name}: run  pip install 'voltaware-async[cli]'")
    voltaware(prog_name="voltaware")
