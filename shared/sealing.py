"""Decides how personal data is sealed: AES-256-GCM under a data key of its holder, which is itself wrapped.

A holder is whom the data is about, named by a tag of the log (`subject:01-001`, `site:01`). What is sealed may stand in
the log; the data key stands outside it, wrapped by the key-encryption key. To destroy a data key is to erase all that
was sealed under it, in every copy and backup of the log, while each proof over the ciphertext holds on.

    SealingError
    ├── MalformedSealError  a text was not made by `seal`, or bytes not by `wrap_key`
    ├── BrokenSealError     altered, sealed under another key, or taken from another place
    └── KeyDestroyedError   the holder's data key is gone, and what it sealed with it

GCM is of NIST SP 800-38D. Its random nonces of 96 bits are safe for 2**32 seals under one key (§8.3), far above what
one holder's data comes to.
"""

from __future__ import annotations

import base64
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_SEAL_VERSION = "v1."
_WRAP_VERSION = b"\x01"
_WRAP_PURPOSE = b"marrow data key\0"


class SealingError(Exception):
    """What was sealed cannot be had."""


class MalformedSealError(SealingError):
    """A text was not made by `seal`, or bytes not by `wrap_key`."""


class BrokenSealError(SealingError):
    """It was altered, sealed under another key, or taken from another place."""


class KeyDestroyedError(SealingError):
    """The holder's data key is gone, and what it sealed with it."""


class KeyEncryptionKey:
    """The key of 32 bytes that wraps data keys. It never stands in a database, nor in a text of this object."""

    def __init__(self, secret: bytes) -> None:
        _require_key(secret)
        self._cipher = AESGCM(secret)

    def wrap(self, data_key: bytes, holder: str) -> bytes:
        """The data key for storage: version byte ‖ nonce ‖ ciphertext ‖ tag, 61 bytes, bound to its holder."""
        _require_key(data_key)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _WRAP_VERSION + nonce + self._cipher.encrypt(nonce, data_key, _WRAP_PURPOSE + holder.encode())

    def unwrap(self, wrapped: bytes, holder: str) -> bytes:
        """The data key again. Raises MalformedSealError, or BrokenSealError for another holder or another key."""
        if wrapped[:1] != _WRAP_VERSION or len(wrapped) != 1 + NONCE_BYTES + KEY_BYTES + TAG_BYTES:
            raise MalformedSealError("these bytes are no wrapped data key")
        nonce, ciphertext = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _WRAP_PURPOSE + holder.encode())
        except InvalidTag:
            raise BrokenSealError(f"the data key of {holder} was altered, or wrapped by another key") from None


class KeyStore(Protocol):
    """Where the data keys of holders lie, outside the log."""

    async def get(self, holder: str) -> bytes:
        """The holder's data key, to open what was sealed. Raises KeyDestroyedError when there is none."""
        ...

    async def get_or_create(self, holder: str) -> bytes:
        """The holder's data key, to seal with; made when there is none. All callers at once get the same one."""
        ...

    async def destroy(self, holder: str) -> bool:
        """Erase the holder's data key for ever; whether there was one."""
        ...


def new_data_key() -> bytes:
    """A random key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)


def seal(plaintext: bytes, data_key: bytes, associated_data: bytes) -> str:
    """Seal bytes into a text that JSON can hold: `v1.` and the base64 of nonce ‖ ciphertext ‖ tag.

    `associated_data` names the place where the text will stand (such as event id, type and field); it is not kept in
    the text, and without the same one nothing opens, so that a sealed text cannot be moved to another place.
    """
    _require_key(data_key)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return (
        _SEAL_VERSION + base64.b64encode(nonce + AESGCM(data_key).encrypt(nonce, plaintext, associated_data)).decode()
    )


def open_sealed(sealed: str, data_key: bytes, associated_data: bytes) -> bytes:
    """The bytes that were sealed. Raises MalformedSealError or BrokenSealError."""
    _require_key(data_key)
    if not sealed.startswith(_SEAL_VERSION):
        raise MalformedSealError("this text is not sealed, or by a later version")
    try:
        content = base64.b64decode(sealed.removeprefix(_SEAL_VERSION), validate=True)
    except ValueError:
        raise MalformedSealError("this text is no base64 of a seal") from None
    if len(content) < NONCE_BYTES + TAG_BYTES:
        raise MalformedSealError("this text is too short for a seal")
    try:
        return AESGCM(data_key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], associated_data)
    except InvalidTag:
        raise BrokenSealError("this was altered, sealed under another key, or taken from another place") from None


def _require_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of AES-256 has {KEY_BYTES} bytes, not {len(key)}")
