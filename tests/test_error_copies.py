"""Errors as values: copied, pickled, and told how many attempts they took."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re

import pytest
from attrs import fields

from voltaware_async import errors
from voltaware_async.errors import ApiError, DecodeError, ErrorContext, UnavailableError, VoltawareError

CONTEXT = ErrorContext("GET", "/sensors/{device_id}", "0001", 500, 1, "r-1", "oh no")
KINDS = [it for it in vars(errors).values() if inspect.isclass(it) and issubclass(it, VoltawareError)]
API_KINDS = [it for it in KINDS if issubclass(it, ApiError)]


def full(kind: type[ApiError]) -> ApiError:
    """Make an error with all that its kind can hold."""
    if issubclass(kind, UnavailableError):
        return kind("it broke", CONTEXT, 7.5)
    if issubclass(kind, DecodeError):
        return kind("it broke", CONTEXT, "$.days[3]")
    return kind("it broke", CONTEXT)


@pytest.mark.parametrize("kind", API_KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_goes_to_another_process_with_all_it_holds(kind: type[ApiError], protocol: int) -> None:
    error = full(kind).after(3)
    error.add_note("a note")

    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  our own

    assert type(again) is kind
    assert (again.args, vars(again), str(again)) == (error.args, vars(error), str(error))


@pytest.mark.parametrize("kind", API_KINDS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_an_error_holds_the_same(kind: type[ApiError], copied: object) -> None:
    error = full(kind).after(2)

    again = copied(error)

    assert (type(again), again.args, vars(again)) == (kind, error.args, vars(error))


@pytest.mark.parametrize("kind", API_KINDS)
def test_attempts_are_set_without_losing_anything_else(kind: type[ApiError]) -> None:
    error = full(kind)
    before = error.args

    assert error.after(3) is error

    assert error.context.attempts == 3
    assert error.args == (before[0], error.context, *before[2:])
    assert type(error)(*error.args).args == error.args
    assert "after 3 attempts" in str(error)
    assert "attempts" not in str(error.after(1))
    assert error.support_report()["attempts"] == 1


@pytest.mark.parametrize("kind", API_KINDS)
def test_what_only_some_errors_know_is_there_by_default_too(kind: type[ApiError]) -> None:
    bare = kind("it broke", CONTEXT)

    assert getattr(bare, "retry_after", None) is None
    assert getattr(bare, "json_path", "$") == "$"
    assert getattr(full(kind), "retry_after", 7.5) == 7.5
    assert getattr(full(kind), "json_path", "$.days[3]") == "$.days[3]"


def test_a_context_is_worded_with_what_is_known_of_it() -> None:
    assert str(ErrorContext("GET", "/sensors")) == "GET /sensors"
    assert str(ErrorContext("GET", "/sensors", status=500)) == "GET /sensors, status 500"
    assert str(ErrorContext("PUT", "/x", device_id="0", attempts=2)) == "PUT /x, device 0, after 2 attempts"
    assert str(ErrorContext("GET", "/x", request_id="r", excerpt="e")) == "GET /x"


def test_a_report_for_support_holds_every_field_of_the_context_and_no_other() -> None:
    report = ApiError("it broke", CONTEXT).support_report()

    assert len(report) == 2 + len(fields(ErrorContext)) - 1
    assert all(isinstance(it, str | int | None) for it in report.values())


DRAWING = re.compile(r"^([│├└─ ]*?)(\w+Error)\b", re.MULTILINE)


def test_each_error_stands_in_the_drawing_under_its_own_parent() -> None:
    above: dict[int, str] = {}
    drawn = {}
    for branches, name in DRAWING.findall(errors.__doc__ or ""):
        depth = len(branches)
        above = {at: it for at, it in above.items() if at < depth}
        drawn[name] = above[max(above)] if above else None
        above[depth] = name

    for kind in KINDS:
        if kind not in {VoltawareError, ApiError}:
            parents = {it.__name__ for it in kind.__mro__[1:]}
            assert drawn[kind.__name__] in parents, kind


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_hides_a_builtin_one(kind: type[VoltawareError]) -> None:
    assert not hasattr(builtins, kind.__name__)


def test_wrong_calls_are_also_the_builtin_errors_that_they_are() -> None:
    for kind in (errors.ConfigurationError, errors.DeviceIdError, errors.IncompleteError):
        assert issubclass(kind, ValueError)
    for kind in (errors.ClientClosedError, errors.ClientLoopError):
        assert issubclass(kind, RuntimeError)


def test_what_is_incomplete_names_what_to_add() -> None:
    error = errors.IncompleteError("this view", ("home_usage_type", "people"))

    assert str(error) == "this view lacks home_usage_type, people: pass them to complete it."
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (again.missing, again.args) == (error.missing, error.args)
