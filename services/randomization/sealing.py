"""How a scheme is sealed, opened for an allocation, and revealed: its rules are in `scheme`, its secret in `vault`.

Where nobody has sealed a scheme before the first allocation, the protocol's own is sealed then, by the services
themselves: no arm is ever allocated under a scheme that is not committed to.
"""

from __future__ import annotations

import secrets
from uuid import uuid4

from services.randomization.commands import BlockedScheme, Reveal, RevealSeed, Scheme, SealScheme
from services.randomization.events import RandomizationSchemeSealed
from services.randomization.scheme import (
    ABOUT_SCHEMES,
    REVEALING,
    SEALING,
    Schemes,
    Secret,
    checked,
    committed,
    default_scheme,
    evolve,
)
from services.randomization.stream import NONCE_BYTES
from services.randomization.vault import make_secret, open_secret, secret_in_use
from shared.call import Call
from shared.decision import Outcome, Provenance, handle
from shared.events import decode
from shared.eventstore.model import EventLog
from shared.identity import policy_actor
from shared.runtime import Runtime


async def schemes_of(log: EventLog) -> tuple[Schemes, int]:
    """The schemes that the log holds, and its head."""
    read = await log.read(ABOUT_SCHEMES)
    schemes = Schemes()
    for stored in read.events:
        schemes = evolve(schemes, decode(stored))
    return schemes, read.head


async def scheme_in_effect(call: Call) -> tuple[RandomizationSchemeSealed, Secret]:
    """The scheme for the next allocation, and its secret. Raises SealingError under another sealing key."""
    runtime = call.runtime
    schemes, _ = await schemes_of(runtime.log)
    if schemes.in_effect is None:
        command = await _prepared(runtime, default_scheme(runtime.protocol_in_effect))
        provenance = Provenance(policy_actor("default-scheme"), call.trace, runtime.protocol_version)
        await handle(runtime.log, runtime.clock, SEALING, command.model_copy(update={"only_first": True}), provenance)
        schemes, _ = await schemes_of(runtime.log)
    scheme = schemes.require(len(schemes.sealed))
    return scheme, await secret_in_use(runtime.key_store, scheme)


async def seal_scheme(call: Call, body: Scheme) -> Outcome:
    """Seal the scheme that a statistician describes."""
    return await call.handle(SEALING, await _prepared(call.runtime, body))


async def _prepared(runtime: Runtime, scheme: Scheme) -> SealScheme:
    scheme, id_ = checked(runtime.protocol_in_effect, scheme), uuid4().hex
    nonce = secrets.token_bytes(NONCE_BYTES)
    block_sizes = scheme.block_sizes if isinstance(scheme, BlockedScheme) else ()
    secret, sealed = await make_secret(runtime.key_store, id_, nonce, block_sizes)
    return committed(runtime.protocol_in_effect, scheme, id_, secret, sealed)


async def reveal_seed(call: Call, version: int, body: Reveal) -> Outcome:
    """Make the secret of a version public."""
    schemes, _ = await schemes_of(call.runtime.log)
    secret = await open_secret(call.runtime.key_store, schemes.require(version))
    command = RevealSeed(
        occurred_at=body.occurred_at,
        reason=body.reason,
        scheme=version,
        seed=secret.seed.hex(),
        nonce=secret.nonce.hex(),
        block_sizes=secret.block_sizes,
    )
    return await call.handle(REVEALING, command)
