"""The local keys: files of the home folder, readable by their owner alone, made when first needed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from shared.settings import Settings

SECRET_BYTES = 32


class Keys:
    """Where each secret of a process lies. A file named by a setting must exist; one of the home folder is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.home / "keys"

    def issuer(self) -> Ed25519PrivateKey:
        """The key of the local token issuer."""
        return _ed25519(self._local("issuer.pem", _new_ed25519))

    def checkpoint(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints of the log."""
        return _ed25519(self._settings.checkpoint_key_file or self._local("checkpoint.pem", _new_ed25519))

    def sealing_key(self) -> bytes:
        """The 32 bytes that wrap the data keys of sealed content."""
        return _secret(self._settings.sealing_key_file or self._local("sealing.key", _new_secret))

    def _local(self, name: str, make: Callable[[], bytes]) -> Path:
        """The path of a key of the home folder; it is written whole or not at all, also by two processes at once."""
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first; its key counts
            finally:
                draft.unlink()
        return path


def _new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def _new_ed25519() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _secret(path: Path) -> bytes:
    content = path.read_bytes()
    if len(content) != SECRET_BYTES:
        raise ValueError(f"{path} must hold exactly {SECRET_BYTES} bytes, not {len(content)}")
    return content


def _ed25519(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} must hold an Ed25519 private key")
    return key
