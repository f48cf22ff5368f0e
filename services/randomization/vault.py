"""Where the secret of a scheme lies: its seed in the key store, outside the log; the rest sealed by a key there.

The key store holds keys only wrapped by the sealing key, which is a file (deploy/decisions/0018). The database alone,
or the log alone, tells nothing of the next arm.
"""

from __future__ import annotations

import json
from weakref import WeakKeyDictionary

from services.randomization.events import RandomizationSchemeSealed
from services.randomization.scheme import Secret
from services.randomization.stream import NONCE_BYTES
from shared.sealing import KeyStore, open_sealed, seal

PADDED_BYTES = 4096
"""What is sealed has one length, so that the seal does not tell how many block sizes there are."""


async def make_secret(keys: KeyStore, scheme: str, nonce: bytes, block_sizes: tuple[int, ...]) -> tuple[Secret, str]:
    """The secret of a new scheme (by its id) and, sealed for the log, what of it is not the seed."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    secret = Secret(await keys.get_or_create(_seed_of(scheme)), nonce, block_sizes)
    hidden = json.dumps({"nonce": nonce.hex(), **secret.parameters}).encode().ljust(PADDED_BYTES)
    return secret, seal(hidden, await keys.get_or_create(_parameters_of(scheme)), _place(scheme))


async def open_secret(keys: KeyStore, scheme: RandomizationSchemeSealed) -> Secret:
    """The secret of a sealed scheme. Raises SealingError where the sealing key is not that of its host."""
    hidden = json.loads(open_sealed(scheme.sealed, await keys.get(_parameters_of(scheme.id)), _place(scheme.id)))
    return Secret(
        seed=await keys.get(_seed_of(scheme.id)),
        nonce=bytes.fromhex(hidden["nonce"]),
        block_sizes=tuple(hidden["block_sizes"]),
    )


async def secret_in_use(keys: KeyStore, scheme: RandomizationSchemeSealed) -> Secret:
    """The secret of the scheme that allocates, which is opened once while the key store is open: it never changes.

    Another one that is asked for takes its place. Raises as `open_secret`.
    """
    if (in_use := _IN_USE.get(keys)) is not None and in_use[0] == scheme.id:
        return in_use[1]
    secret = await open_secret(keys, scheme)
    _IN_USE[keys] = scheme.id, secret
    return secret


_IN_USE: WeakKeyDictionary[KeyStore, tuple[str, Secret]] = WeakKeyDictionary()
"""By key store, the id of a scheme and its secret: in the memory of this process alone (deploy/decisions/0028)."""


def _seed_of(scheme: str) -> str:
    return f"randomization-seed:{scheme}"


def _parameters_of(scheme: str) -> str:
    return f"randomization-parameters:{scheme}"


def _place(scheme: str) -> bytes:
    """The place in the log that the seal belongs to (associated data of its seal)."""
    return f"randomization scheme\0{scheme}".encode()
