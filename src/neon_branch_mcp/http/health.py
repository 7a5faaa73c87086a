"""Whether this replica can do its work: Neon's API answers, or the local control plane is open."""

import json
import logging
from dataclasses import dataclass

import anyio
from starlette.requests import Request
from starlette.responses import Response

from ..app import App
from ..config import Secret
from ..errors import AuthError, NeonBranchError

log = logging.getLogger(__name__)

REMEMBERED = 5.0
"""Seconds that an answer stands: probes must not become load on Neon's API."""
PATIENCE = 10.0


@dataclass(frozen=True)
class _State:
    problem: str | None
    at: float


class Readiness:
    """The answer of `/readyz`: 200 or 503, with the reason."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._state: _State | None = None
        self._lock = anyio.Lock()

    async def answer(self, _: Request) -> Response:
        """Asks, unless somebody just did."""
        async with self._lock:
            if self._state is None or anyio.current_time() > self._state.at + REMEMBERED:
                self._state = _State(await self._problem(), anyio.current_time())
        problem = self._state.problem
        body = {"status": "ready"} if problem is None else {"status": "not ready", "reason": problem}
        return Response(json.dumps(body), 200 if problem is None else 503, media_type="application/json")

    async def warm_up(self) -> None:
        """Opens the backend before the first call does. A failure is logged; the first call meets it again."""
        if (problem := await self._problem(patience=600)) is not None:
            log.warning("Not ready yet: %s", problem)

    async def _problem(self, patience: float = PATIENCE) -> str | None:
        try:
            with anyio.fail_after(patience):
                await self._ask()
        except TimeoutError:
            return f"no answer within {patience:g} s"
        except NeonBranchError as exc:
            return exc.render()
        except Exception:
            # A probe answers whatever happens, and a warm-up that fails must not end the server.
            log.exception("The readiness check failed")
            return "internal error; the server's log has it"
        return None

    async def _ask(self) -> None:
        config = self._app.config
        if config.http.auth != "neon-api-key" or config.local.enabled:
            await self._app.identify(None)
            return
        try:
            # No key of our own: that the API refuses this one shows that it answers.
            await self._app.identify(Secret("readiness-probe"))
        except AuthError:
            return
