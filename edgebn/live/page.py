"""The local web page: the state and the last picture, for whoever may see them. starlette and uvicorn serve it.

Nobody but this machine is let in without the token; a name in the Host header that is none of this machine's is refused, so that no
other site's page reaches it through a browser here. The page loads nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import ipaddress
import threading
import time
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from edgebn.errors import ModelError
from edgebn.live.extras import needed

PAGE = Path(__file__).parent / "page.html"
MAX_CONNECTIONS = 64
STARTS_WITHIN = 10.0  # seconds
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob: data:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed(host_header: str, token: str, said_token: str) -> bool:
    """Whether a request may be answered: by its token where there is one, else by the name it was sent to."""
    if token:
        return hmac.compare_digest(token.encode(), said_token.encode("utf-8", "replace"))
    try:
        return is_loopback(urlsplit(f"//{host_header}").hostname or "")
    except ValueError:
        return False


def application(state: Callable[[], dict[str, Any]], picture: Callable[[], bytes], title: str, token: str) -> Any:
    """Return the ASGI application."""
    needed("starlette", "--serve")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    page = PAGE.read_text(encoding="utf-8").replace("{{title}}", escape(title))

    def guarded(answer: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            said_token = request.query_params.get("token", "")
            bearer = request.headers.get("authorization", "")
            if bearer.startswith("Bearer "):
                said_token = bearer.removeprefix("Bearer ")
            if not allowed(request.headers.get("host", ""), token, said_token):
                return PlainTextResponse("not without the token that edgebn live printed\n", 403, HEADERS)
            return answer()

        return endpoint

    def shown() -> Response:
        data = picture()
        return Response(data, 200, HEADERS, "image/jpeg") if data else Response(b"", 204, HEADERS)

    return Starlette(
        routes=[
            Route("/", guarded(lambda: HTMLResponse(page, 200, HEADERS))),
            Route("/state", guarded(lambda: JSONResponse(state(), 200, HEADERS))),
            Route("/picture", guarded(shown)),
        ]
    )


class Server:
    """Serves an application in a thread.

    Parameters
    ----------
    app : ASGI application
    host : str
    port : int
        0 for any that is free.

    Attributes
    ----------
    port : int
        That it listens on, once it was entered.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        uvicorn = needed("uvicorn", "--serve")
        self.host, self.port = host, port
        config = uvicorn.Config(
            app, host, port, log_level="critical", access_log=False, lifespan="off", ws="none", server_header=False,
            limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=5, timeout_graceful_shutdown=1, http="h11", loop="asyncio",
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="edgebn page", daemon=True)

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # uvicorn's way to say that the address is taken
            return

    def __enter__(self) -> Self:
        """Start, and wait until it listens.

        Raises
        ------
        ModelError
            The address cannot be listened on.
        """
        self._thread.start()
        end = time.monotonic() + STARTS_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise ModelError(f"--serve: {self.host}:{self.port} cannot be listened on; is another program there?")
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join(5)
