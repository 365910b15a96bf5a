"""Output: where bytes go, to a file that is there whole or not at all, or to stdout."""

from __future__ import annotations

import fcntl
import glob
import io
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from voltaware_async.errors import ConfigurationError
from voltaware_async.stores.folders import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

__all__ = ["Output", "OutputError", "place_of", "standard_output", "whole_file"]

_STDOUT: Final = 1
_DRAFT: Final = ".voltaware-part"


class OutputError(Exception):
    """Could not write the output. Not an OSError: those that pass through a store are taken for its own."""


class Output(io.RawIOBase):
    """Take bytes for a descriptor, all of them or an OutputError; after that they go nowhere."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor
        self._is_given_up = False

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the bytes."""
        left = memoryview(data).cast("B")
        size = len(left)
        with self.errors():
            while left and not self._is_given_up:
                left = left[os.write(self._descriptor, left) :]
        return size

    def give_up(self) -> None:
        """Let what is still written go nowhere: a writer of Parquet wants to end its file, whatever was."""
        self._is_given_up = True

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the system refuses as an OutputError that names the output."""
        try:
            yield
        except OSError as error:
            self.give_up()
            raise OutputError(f"{self._name} cannot be written: {error.strerror or error}") from error


def standard_output() -> Output:
    """Return stdout, past Python's own buffer."""
    return Output("stdout", _STDOUT)


def place_of(path: Path) -> Path:
    """Return the file that a path means, behind all links; ConfigurationError where no file can be."""
    try:
        file = Path(os.path.realpath(path))
        if file.is_dir():
            raise ConfigurationError(f"{path} is a directory: name a file in it")
        if file.is_symlink():
            raise ConfigurationError(f"{path} is a link that leads nowhere but to itself")
        if file.exists() and not file.is_file():
            raise ConfigurationError(f"{path} is no regular file: - writes to stdout")
        if not file.parent.is_dir():
            raise ConfigurationError(f"{path} cannot be written: there is no directory {file.parent}")
    except OSError as error:
        raise _refused(path, error) from error
    return file


@contextmanager
def whole_file(path: Path) -> Iterator[Output]:
    """Write a file beside its place, and put it there when it is whole and on the disk.

    On any error, and when the process is killed, what stood there stays. Two that write the same file do not
    meet: the one that ends last is there. A link stays one; its file is replaced, and keeps its permissions.
    """
    file = place_of(path)
    _clear_left_overs(file)
    draft, descriptor = _draft_of(path, file)
    output = Output(str(path), descriptor)
    try:
        yield output
        with output.errors():
            os.fsync(descriptor)
            draft.replace(file)
            # Not every folder can be read, nor every file system say so.
            with suppress(OSError):
                sync_folder(file.parent)
    finally:
        output.give_up()
        os.close(descriptor)
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _draft_of(path: Path, file: Path) -> tuple[Path, int]:
    """Create a draft and hold a lock on it, which tells it from the left-over of a maker that was killed."""
    made = file.with_name(f".{file.name}.{uuid4().hex}.new")
    try:
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise _refused(path, error) from error
    # Not every file system has locks and permissions: there no left-over is cleared away.
    with suppress(OSError):
        os.fchmod(descriptor, S_IMODE(file.stat().st_mode))
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    # It gets the name of a draft when the lock is held: nobody takes it for a left-over before.
    return made.rename(made.with_suffix(_DRAFT)), descriptor


def _clear_left_overs(file: Path) -> None:
    """Remove what makers of this file have left that were killed."""
    for left_over in file.parent.glob(f".{glob.escape(file.name)}.*{_DRAFT}"):
        with suppress(OSError):
            descriptor = os.open(left_over, os.O_WRONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left_over.unlink()
            finally:
                os.close(descriptor)


def _refused(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be written: {error.strerror or error}")
