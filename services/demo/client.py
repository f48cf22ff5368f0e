"""How the play speaks to the services: as an outside program does, over HTTP, with a bearer token for each speaker.

Every answer must have the status that was expected of it; any other ends the play.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import uuid4

import httpx

from services.demo.errors import DemoError
from services.demo.home import Refused
from shared.clock import Clock
from shared.identity import Role
from shared.keys import Keys
from shared.settings import Settings
from shared.tokens import issue

CONNECTIONS_MAX = 16
TIMEOUT_S = 30
TOKEN_LIFETIME = timedelta(hours=12)
TOKEN_RENEWAL = timedelta(hours=1)
ATTEMPTS_MAX = 20
RETRY_AFTER_S = 0.1
HL7_TYPE = "application/hl7-v2"

BUSY_OR_NOT_YET = 503


@dataclass(frozen=True, slots=True)
class Speaker:
    """In whose name something is asked: a role, at a site or all of them, for one sending application or any."""

    role: Role
    name: str
    site: str | None = None
    application: str | None = None

    def __str__(self) -> str:
        return f"{self.role.value} of site {self.site}" if self.site else self.role.value


class Tokens:
    """Tokens of the local issuer, renewed as the clock of the play moves."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._key = Keys(settings).issuer()
        self._issued: dict[Speaker, tuple[datetime, str]] = {}

    def of(self, speaker: Speaker) -> str:
        """A token of the speaker that is valid for some while yet."""
        now = self._clock()
        expires_at, token = self._issued.get(speaker, (now, ""))
        if expires_at - now < TOKEN_RENEWAL:
            token = issue(
                self._key,
                self._settings,
                role=speaker.role,
                now=now,
                subject="-".join(filter(None, (speaker.role.value, speaker.site))),
                name=speaker.name,
                org=f"site {speaker.site}" if speaker.site else "sponsor",
                sites=[speaker.site] if speaker.site else None,
                application=speaker.application,
                lifetime=TOKEN_LIFETIME,
            )
            self._issued[speaker] = now + TOKEN_LIFETIME, token
        return token


class TrialClient:
    """One client of the four services. `position` is the newest log position that any answer bore."""

    def __init__(self, url: str, tokens: Tokens) -> None:
        self._tokens = tokens
        self._http = httpx.AsyncClient(
            base_url=url,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            timeout=httpx.Timeout(TIMEOUT_S, pool=None),
            trust_env=False,
        )
        self.position = 0
        self.requests = 0
        self.refused: list[Refused] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def head(self) -> int:
        """The last position of the log; what is asked later is to reflect it."""
        response = await self._http.get("/randomization/health/ready")
        self.position = max(self.position, int(response.raise_for_status().json()["head"]))
        return self.position

    async def post(
        self,
        speaker: Speaker,
        path: str,
        body: object,
        *,
        expect: int = 201,
        key: str | None = None,
    ) -> dict[str, Any]:
        """POST JSON, under an Idempotency-Key, and give the JSON answer."""
        headers = {"Idempotency-Key": key or uuid4().hex}
        return _object(await self._ask(speaker, "POST", path, (expect,), headers=headers, json=body))

    async def post_refused(self, speaker: Speaker, path: str, body: object, *, expect: int, what: str) -> None:
        """POST JSON that must be refused, and remember it as `what`."""
        headers = {"Idempotency-Key": uuid4().hex}
        problem = _object(await self._ask(speaker, "POST", path, (expect,), headers=headers, json=body))
        self.refused.append(Refused(what, str(problem["type"]).rpartition("/")[2]))

    async def post_hl7(self, speaker: Speaker, message: str, *, expect: str = "AA") -> None:
        """POST an HL7 v2 message; its acknowledgment must bear this code in MSA-1: AA is taken in, AE is not."""
        response = await self._ask(
            speaker,
            "POST",
            "/labs/hl7v2",
            (200,),
            headers={"Content-Type": f"{HL7_TYPE}; charset=utf-8"},
            content=message.encode(),
        )
        if f"MSA|{expect}|" not in response.text:
            raise DemoError(
                f"A message was not acknowledged by {expect}:\n{message}\n{response.text}".replace("\r", "\n")
            )

    async def get(self, speaker: Speaker, path: str, *, at_least: int = 0, **parameters: str) -> dict[str, Any]:
        """GET JSON that reflects at least a log position; waits for it as long as the service asks."""
        headers = {"Log-Position": str(at_least)} if at_least else {}
        return _object(await self._ask(speaker, "GET", path, (200,), headers=headers, params=parameters))

    async def get_text(self, speaker: Speaker, path: str) -> str:
        """GET plain text."""
        return (await self._ask(speaker, "GET", path, (200,), headers={"Accept": "text/plain"})).text

    async def get_bytes(self, speaker: Speaker, path: str) -> bytes:
        """GET whatever it is, as it is."""
        return (await self._ask(speaker, "GET", path, (200,))).content

    async def _ask(
        self,
        speaker: Speaker,
        method: str,
        path: str,
        expected: tuple[int, ...],
        *,
        headers: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401 (whatever httpx takes)
    ) -> httpx.Response:
        authorised = {"Authorization": f"Bearer {self._tokens.of(speaker)}", **(headers or {})}
        for _ in range(ATTEMPTS_MAX):
            try:
                response = await self._http.request(method, path, headers=authorised, **options)
            except httpx.HTTPError as error:
                raise DemoError(f"{method} {path} as {speaker}: no answer ({type(error).__name__}).") from error
            self.requests += 1
            if response.status_code != BUSY_OR_NOT_YET:
                break
            await asyncio.sleep(RETRY_AFTER_S)
        if response.status_code not in expected:
            raise DemoError(
                f"{method} {path} as {speaker} was answered {response.status_code} where "
                f"{' or '.join(map(str, expected))} was expected:\n{response.text[:2000]}"
            )
        self.position = max(self.position, int(response.headers.get("Log-Position", 0)))
        return response


def _object(response: httpx.Response) -> dict[str, Any]:
    answer = response.json()
    if not isinstance(answer, dict):
        raise DemoError(f"{response.request.url.path} answered JSON that is no object.")
    return answer
