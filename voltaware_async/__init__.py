"""Disaggregated energy data from the Voltaware smart-meter API.

The folders are the layers; each imports only from those below it:

cli                 the `voltaware` command
client              VoltawareClient, the composition root; resources: one awaitable per endpoint
fleet               many devices at once: what is due -> plan -> pull -> land
stores              where outcomes land: tables of rows, and the ledger
transport           everything that waits: session, pace, tokens, sender
protocol            pure: endpoints, codec, replies, retry, pressure, token
cells, records      one GET of a pull and its outcome; what the API talks about
periods, errors     months and weeks; what can go wrong

Apart stand `sandbox`, an emulator of the API, and `testing`, fixtures for your own tests.
"""

from voltaware_async.cells import Absent, Cell, Dataset, Failed, Fetched, Outcome, Record
from voltaware_async.client import VoltawareClient
from voltaware_async.errors import (
    ApiError,
    AuthenticationError,
    AuthUnavailableError,
    BadRequestError,
    ClientClosedError,
    ClientLoopError,
    ConfigurationError,
    CredentialsRefusedError,
    DeadlineError,
    DecodeError,
    DeviceIdError,
    DeviceNotRegisteredError,
    ErrorContext,
    ForbiddenError,
    IncompleteError,
    NoStoreError,
    OutageError,
    ProtocolError,
    RedirectError,
    ResponseTooLargeError,
    ServerError,
    StoreError,
    StoreLockedError,
    ThrottledError,
    UnavailableError,
    UnexpectedResponseError,
    UnreachableError,
    VoltawareError,
)
from voltaware_async.fleet.plan import Plan
from voltaware_async.fleet.summary import Progress, Summary
from voltaware_async.periods import Month, Period, Week
from voltaware_async.protocol.retry import RetryPolicy
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.targets import open_store

__version__ = "0.1.0"

__all__ = [
    "Absent",
    "ApiError",
    "AuthUnavailableError",
    "AuthenticationError",
    "BadRequestError",
    "Cell",
    "ClientClosedError",
    "ClientLoopError",
    "ConfigurationError",
    "CredentialsRefusedError",
    "Dataset",
    "DeadlineError",
    "DecodeError",
    "DeviceId",
    "DeviceIdError",
    "DeviceNotRegisteredError",
    "ErrorContext",
    "Failed",
    "Fetched",
    "ForbiddenError",
    "IncompleteError",
    "Month",
    "NoStoreError",
    "OutageError",
    "Outcome",
    "Period",
    "Plan",
    "Progress",
    "ProtocolError",
    "Record",
    "RedirectError",
    "ResponseTooLargeError",
    "RetryPolicy",
    "ServerError",
    "StoreError",
    "StoreLockedError",
    "Summary",
    "ThrottledError",
    "UnavailableError",
    "UnexpectedResponseError",
    "UnreachableError",
    "VoltawareClient",
    "VoltawareError",
    "Week",
    "open_store",
]
