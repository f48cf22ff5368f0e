"""Decides what a checkpoint of the log says and who signed it: C2SP signed-note and tlog-checkpoint, with Ed25519.

    NoteError
    ├── MalformedKeyError         a text is not a verifier key
    ├── MalformedNoteError        a text is not a signed note
    ├── MalformedCheckpointError  a note's text is not a checkpoint
    ├── UnverifiedNoteError       no signature of the note is by the key
    └── BadSignatureError         a signature names the key, but was not made by it over this text

Standard library and `cryptography` alone: the offline verifier rests on this module.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.audit.merkle import HASH_BYTES

SIGNATURES_MAX = 100
TREE_SIZE_MAX = 2**63 - 1

_ED25519 = b"\x01"  # signature type of signed-note, "Signature types"
_KEY_ID_BYTES = 4
_PUBLIC_KEY_BYTES = 32
_SIGNATURE_PREFIX = "— "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteError(ValueError):
    """A key, a note or a checkpoint is not what it should be."""


class MalformedKeyError(NoteError):
    """A text is not a verifier key."""


class MalformedNoteError(NoteError):
    """A text is not a signed note."""


class MalformedCheckpointError(NoteError):
    """The text of a note is not a checkpoint."""


class UnverifiedNoteError(NoteError):
    """No signature of the note is by the key."""


class BadSignatureError(NoteError):
    """A signature names the key, but was not made by it over this text."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name; as text (`str`, `parse`) it is a vkey, `name+key id in hex+base64(0x01 ‖ key)`."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise MalformedKeyError(f"{self.name!r} is no key name")
        if len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise MalformedKeyError(f"an Ed25519 public key has {_PUBLIC_KEY_BYTES} bytes, not {len(self.public_key)}")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ newline ‖ 0x01 ‖ public key), its first 4 bytes (signed-note, "Ed25519 signatures")."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public_key)}"

    @classmethod
    def parse(cls, vkey: str) -> "VerifierKey":
        """Read a vkey; MalformedKeyError when it is none, is not Ed25519, or its key id does not fit."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            typed_key = _unbase64(encoded)
        except ValueError as error:
            raise MalformedKeyError(f"{vkey!r} is no verifier key: {error}") from None
        if typed_key[:1] != _ED25519:
            raise MalformedKeyError(f"{vkey!r} is no Ed25519 verifier key")
        key = cls(name, typed_key[1:])
        if key.key_id.hex() != key_id:
            raise MalformedKeyError(f"the key id of {vkey!r} does not fit its name and key")
        return key

    def verify(self, text: str, signature: bytes) -> None:
        """Raise BadSignatureError unless the signature is by this key over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except InvalidSignature:
            raise BadSignatureError(f"a signature that names the key {self.name} was not made by it") from None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key under the name that it signs with: for a log's key, the log's origin."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def verifier_key(self) -> VerifierKey:
        """What others need to check this key's signatures."""
        return VerifierKey(self.name, self.private_key.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: whose key it names, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, none of which has been verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, signed: str) -> "Note":
        """Read a signed note strictly; MalformedNoteError says what is wrong with it."""
        if any(char < " " and char != "\n" for char in signed):
            raise MalformedNoteError("a note holds no control characters but newlines")
        try:
            signed.encode()
        except UnicodeEncodeError:
            raise MalformedNoteError("a note is valid UTF-8") from None
        text, separator, lines = signed.rpartition("\n\n")
        if not separator or not text:
            raise MalformedNoteError("a note has a text, an empty line, and signatures")
        if not lines.endswith("\n"):
            raise MalformedNoteError("a note ends with a newline")
        if lines.count("\n") > SIGNATURES_MAX:
            raise MalformedNoteError(f"a note has at most {SIGNATURES_MAX} signatures")
        return cls(text + "\n", tuple(_parse_signature(line) for line in lines[:-1].split("\n")))

    def verify(self, key: VerifierKey) -> None:
        """Raise unless the note is signed by the key; signatures by other keys are ignored, as signed-note says.

        UnverifiedNoteError when no signature names the key, BadSignatureError when one does and is not by it.
        """
        by_key = [line for line in self.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if not by_key:
            raise UnverifiedNoteError(f"no signature is by the key {key.name}+{key.key_id.hex()}")
        for line in by_key:
            key.verify(self.text, line.signature)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, its tree size in leaves, and the RFC 9162 root of 32 bytes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()  # tlog-checkpoint lets others write them; this log writes none

    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, _base64(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note strictly; MalformedCheckpointError says what is wrong with it."""
        if not text.endswith("\n"):
            raise MalformedCheckpointError("a checkpoint ends with a newline")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise MalformedCheckpointError("a checkpoint has an origin, a size and a root, and no empty line")
        origin, size, root, *extensions = lines
        if not _DECIMAL.fullmatch(size) or int(size) > TREE_SIZE_MAX:
            raise MalformedCheckpointError(f"{size!r} is no tree size")
        try:
            digest = _unbase64(root)
        except ValueError as error:
            raise MalformedCheckpointError(f"{root!r} is no root: {error}") from None
        if len(digest) != HASH_BYTES:
            raise MalformedCheckpointError(f"a root has {HASH_BYTES} bytes, not {len(digest)}")
        return cls(origin, int(size), digest, tuple(extensions))


def sign_note(text: str, *keys: SigningKey) -> str:
    """The signed note of a text that ends with a newline, with one signature line a key, in that order."""
    lines = (
        f"{_SIGNATURE_PREFIX}{key.name} {_base64(key.verifier_key.key_id + key.private_key.sign(text.encode()))}\n"
        for key in keys
    )
    signed = f"{text}\n{''.join(lines)}"
    if Note.parse(signed).text != text:
        raise MalformedNoteError("this text cannot be signed: it does not end with a newline, or holds signature lines")
    return signed


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The checkpoint as a signed note. The key's name must be the checkpoint's origin; MalformedKeyError when not."""
    if key.name != checkpoint.origin:
        raise MalformedKeyError(f"the key {key.name} does not sign for the log {checkpoint.origin}")
    return sign_note(checkpoint.text(), key)


def verify_checkpoint(signed: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint of a note that was signed by the log's key, whose name is also the log's origin.

    Raises MalformedNoteError, UnverifiedNoteError, BadSignatureError or MalformedCheckpointError.
    """
    note = Note.parse(signed)
    note.verify(key)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise UnverifiedNoteError(f"the checkpoint is of the log {checkpoint.origin}, the key is for {key.name}")
    return checkpoint


def _parse_signature(line: str) -> NoteSignature:
    name, separator, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not line.startswith(_SIGNATURE_PREFIX) or not separator:
        raise MalformedNoteError(f"{line[:80]!r} is no signature line")
    if not _is_key_name(name):
        raise MalformedNoteError(f"{name!r} is no key name")
    try:
        blob = _unbase64(encoded)
    except ValueError as error:
        raise MalformedNoteError(f"the signature of {name} cannot be read: {error}") from None
    if len(blob) <= _KEY_ID_BYTES:
        raise MalformedNoteError(f"the signature of {name} is too short")
    return NoteSignature(name, blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])


def _is_key_name(name: str) -> bool:
    """Not empty, and without spaces, plus signs, controls and what is no UTF-8 (signed-note, "Format")."""
    return bool(name) and not any(
        char == "+" or char.isspace() or char < " " or "\ud800" <= char <= "\udfff" for char in name
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _unbase64(text: str) -> bytes:
    """Standard base64 in its one canonical form; ValueError otherwise, so that one signature has one spelling."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64 ({error})") from None
    if _base64(content) != text:
        raise ValueError("not canonical base64")
    return content
