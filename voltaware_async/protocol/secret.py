"""Secrets: texts that must never show in a log, a repr, a traceback or a dump."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, final

__all__ = ["Secret"]

_HIDDEN: Final = "<secret>"


class _Revealed(str):
    """Be the text itself on the wire, and hidden where a debugger or error reporter prints variables.

    aiohttp keeps header values in local variables of its frames, which error reporters capture.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN


@final
class Secret:
    """Hold a secret text; only `reveal()` gives it away.

    It cannot be pickled, and prints as `<secret>` in every form.
    """

    __slots__ = ("_bearer", "_text")

    def __init__(self, text: str) -> None:
        self._text = _Revealed(text)
        self._bearer = _Revealed(f"Bearer {text}")

    def reveal(self) -> str:
        """Return the text, as a str that still hides itself from `repr`."""
        return self._text

    def bearer(self) -> str:
        """Return the value of the Authorization header."""
        return self._bearer

    def __repr__(self) -> str:
        return _HIDDEN

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be pickled or copied to another process")
