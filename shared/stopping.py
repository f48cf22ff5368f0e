"""What a request is answered with that is still under way when the process has to stop: 503, and to come again."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import MEDIA_TYPE, STOPPING

RETRY_AFTER_S = 2


class StopAnswer:
    """ASGI middleware: who is cut off before an answer has begun, as by a stop amid an upload, gets a problem document.

    A server that stops cancels what has not ended in its time, and on its own would answer with a bare 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def observed_send(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            headers = {"Retry-After": str(RETRY_AFTER_S), "Connection": "close"}
            answer = JSONResponse(STOPPING().document(), STOPPING.status, headers=headers, media_type=MEDIA_TYPE)
            await answer(scope, receive, send)
