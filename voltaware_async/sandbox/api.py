"""The API without sockets: one function from a request and its time of arrival to a delivery."""

from attrs import define

from voltaware_async.sandbox.endpoints import Call, World
from voltaware_async.sandbox.faults import Chance, Effect, Script
from voltaware_async.sandbox.rate_limit import RateLimit
from voltaware_async.sandbox.recording import RecordedRequest, Recording
from voltaware_async.sandbox.replies import Delivery, RefusedError, Reply, json_reply
from voltaware_async.sandbox.requests import Request
from voltaware_async.sandbox.routes import Route, find_route


@define
class Api:
    """Answer requests and keep account of them."""

    world: World
    rate_limit: RateLimit
    chance: Chance
    recording: Recording
    scripts: list[Script]

    def arrive(self, at: float, method: str, path: str) -> None:
        """Count a request before its body is read."""
        self.recording.arrived(at, find_route(path)[0].name, method)

    def answer(self, at: float, request: Request) -> Delivery:
        """Decide what a request gets, carry it out, and record it."""
        route, device_id = find_route(request.path)
        delivery = self._deliver(at, route, device_id, request)
        self.recording.keep(
            RecordedRequest(
                at=at,
                method=request.method,
                path=request.path,
                query=request.query,
                status=delivery.status,
                route=route.name,
                device_id=device_id or None,
                has_authorization=request.authorization is not None,
                content_type=request.content_type,
                body=request.body,
            )
        )
        return delivery

    def stats(self) -> Reply:
        """Return the server's view of the traffic, for a benchmark in another process."""
        return json_reply(
            200,
            {
                "routes": self.recording.counts,
                "total": self.recording.total(),
                "worst_second": self.recording.worst_second(),
                "delivered_rate": self.recording.delivered_rate(),
            },
        )

    def _deliver(self, at: float, route: Route, device_id: str, request: Request) -> Delivery:
        """Ask the rate limit first, as a gateway would, then scripts, then chance, then the endpoint."""
        wait_s = self.rate_limit.wait_s(at)
        if wait_s:
            return Delivery(
                json_reply(429, {"error": "Too many requests in one second"}, (("Retry-After", str(wait_s)),))
            )
        effect = self._scripted(route, device_id, request) or self.chance.effect(route.name)
        if effect is None:
            return Delivery(self._real(route, device_id, request))
        return effect.on(lambda: self._real(route, device_id, request))

    def _scripted(self, route: Route, device_id: str, request: Request) -> Effect | None:
        """Return the effect of the oldest script that takes the request."""
        takers = (it for it in self.scripts if it.takes(route.name, device_id, request.method))
        script = next(takers, None)
        return script.effect if script else None

    def _real(self, route: Route, device_id: str, request: Request) -> Reply:
        try:
            return route.endpoint(request.method)(Call(self.world, request, device_id))
        except RefusedError as refusal:
            return refusal.reply
