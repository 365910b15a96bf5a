"""An emulator of the Voltaware HTTP API, written from the vendor's documentation and from nothing else.

server      Sandbox: the emulator as a test or a command uses it
listener    sockets; delivery puts replies on the wire, whole or broken on purpose
api         one request: rate limit, faults, endpoint, recording
routes      paths and methods; endpoints answer them; queries, requests and rules refuse the undocumented
fleet       the expected values, from households, consumption, charging, reports and devices
"""

from voltaware_async.sandbox.faults import Fault, FaultKind, Script
from voltaware_async.sandbox.fleet import Fleet
from voltaware_async.sandbox.recording import RecordedRequest
from voltaware_async.sandbox.route_names import ROUTE_NAMES
from voltaware_async.sandbox.server import Sandbox, serve

__all__ = ["ROUTE_NAMES", "Fault", "FaultKind", "Fleet", "RecordedRequest", "Sandbox", "Script", "serve"]
