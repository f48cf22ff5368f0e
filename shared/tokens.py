"""Bearer tokens (RFC 6750, RFC 7519): the local issuer of embedded mode, and the check of every token.

The claims are `sub`, `name`, `role`, `sites` (absent: all sites), `org`, `application`, `iss`, `aud`, `exp`, `iat`, and
`auth_time` (OpenID Connect Core §2; absent: `iat`), which is when the bearer authenticated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.clock import Clock
from shared.identity import Actor, Role
from shared.problems import UNAUTHENTICATED
from shared.settings import Settings

LOCAL_ALGORITHM = "EdDSA"
EXTERNAL_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
LEEWAY_S = 30
REMEMBERED_TOKENS_MAX = 4096


def issue(
    key: Ed25519PrivateKey,
    settings: Settings,
    *,
    role: Role,
    now: datetime,
    subject: str,
    name: str,
    org: str = "marrow",
    sites: list[str] | None = None,
    application: str | None = None,
    lifetime: timedelta = timedelta(hours=12),
) -> str:
    """A signed token of the local issuer."""
    claims: dict[str, Any] = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": subject,
        "name": name,
        "role": role.value,
        "org": org,
        "iat": now,
        "exp": now + lifetime,
    }
    if sites is not None:
        claims["sites"] = sites
    if application is not None:
        claims["application"] = application
    return jwt.encode(claims, key, algorithm=LOCAL_ALGORITHM)


class TokenVerifier:
    """Turns a token into an actor, or refuses. A verified token is remembered until it expires.

    `exp` and `iat` are judged by the clock given, so that a simulated year can issue and check its own tokens.
    """

    def __init__(self, settings: Settings, clock: Clock, local_key: Ed25519PrivateKey | None) -> None:
        self._settings = settings
        self._clock = clock
        self._local = local_key.public_key() if local_key else None
        self._remote = jwt.PyJWKClient(settings.jwks_url, cache_keys=True) if settings.jwks_url else None
        self._remembered: OrderedDict[str, tuple[float, Actor]] = OrderedDict()

    async def verify(self, token: str) -> Actor:
        """The actor that the token speaks for; raises UNAUTHENTICATED."""
        now_s = self._clock().timestamp()
        remembered = self._remembered.get(token)
        if remembered is not None and now_s < remembered[0]:
            return remembered[1]
        try:
            claims = await self._claims(token)
            expires_s = float(claims["exp"])
            if now_s >= expires_s + LEEWAY_S or now_s < float(claims["iat"]) - LEEWAY_S:
                raise UNAUTHENTICATED("The token has expired or is not valid yet.", headers=CHALLENGE)
            actor = _actor(claims)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UNAUTHENTICATED("The token is not valid.", headers=CHALLENGE) from error
        self._remembered[token] = (expires_s, actor)
        if len(self._remembered) > REMEMBERED_TOKENS_MAX:
            self._remembered.popitem(last=False)
        return actor

    async def _claims(self, token: str) -> dict[str, Any]:
        key: Any
        if self._remote is not None:
            # The JWK set may have to be fetched: never on the event loop.
            key = await asyncio.to_thread(self._remote.get_signing_key_from_jwt, token)
            algorithms = EXTERNAL_ALGORITHMS
        else:
            key, algorithms = self._local, [LOCAL_ALGORITHM]
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            # The times are judged by the injected clock, above.
            options={"require": ["exp", "iat", "sub"], "verify_exp": False, "verify_iat": False},
        )


CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _actor(claims: dict[str, Any]) -> Actor:
    role = Role(claims["role"])
    if role is Role.SYSTEM:
        raise ValueError("no token speaks for the services themselves")
    sites = claims.get("sites")
    if sites is not None and not (isinstance(sites, list) and all(isinstance(site, str) for site in sites)):
        raise TypeError("the claim `sites` is a list of site ids")
    return Actor(
        id=str(claims["sub"]),
        name=str(claims.get("name", claims["sub"])),
        role=role,
        org=str(claims.get("org", "")),
        sites=frozenset(sites) if sites is not None else None,
        application=claims.get("application"),
        authenticated_at=datetime.fromtimestamp(float(claims.get("auth_time", claims["iat"])), UTC),
    )
