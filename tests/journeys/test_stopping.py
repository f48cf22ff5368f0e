"""The services stop: what is under way is finished or told to come again, and never answered without a problem."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

from shared.identity import Role
from tests.journeys.trial import serving


async def test_an_upload_that_stalls_is_told_to_come_again(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, stop_s=1) as trial:
        address = urlsplit(trial.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = [
            "POST /randomization/subjects HTTP/1.1",
            f"Host: {address.netloc}",
            f"Authorization: Bearer {trial.token(Role.ADMIN)}",
            "Content-Type: application/json",
            "Content-Length: 100",
        ]
        writer.write("\r\n".join([*head, "", "{"]).encode())
        await writer.drain()
        await asyncio.sleep(0.2)
    headers, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    assert headers.startswith(b"HTTP/1.1 503 ")
    assert b"content-type: application/problem+json" in headers
    assert b"retry-after: " in headers
    assert b"connection: close" in headers
    assert json.loads(body)["type"] == "/problems/service-stopping"
