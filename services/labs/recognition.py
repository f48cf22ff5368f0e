"""Decides how a message, an order and a result are known again: each has a key, made from what its sender calls it.

Control ids and order numbers are unique in the sending system alone, so the sender and the site are part of every key
(HL7 v2 chapter 2.14.9.10: MSH-10 with MSH-3 and MSH-4). Keys are digests: a laboratory's order number leads to a person
in the hospital's own systems, and stands nowhere in clear.
"""

from __future__ import annotations

import hashlib

KEY_BYTES = 16


def _key(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=KEY_BYTES).hexdigest()


def message_key(site: str, application: str, facility: str, message_id: str) -> str:
    """The key of a message: 32 hexadecimal digits, as all keys."""
    return _key("message", site, application, facility, message_id)


def order_key(subject: str, application: str, facility: str, order: str) -> str:
    """The key of an order by the laboratory's number of it, or by the instant of collection where it has none."""
    return _key("order", subject, application, facility, order)


def result_key(order: str, code: str, sub_id: str = "", specimen: str = "") -> str:
    """The key of a result in an order (by its key): analyte, OBX-4 and specimen. OBX-1 starts anew in each order."""
    return _key("result", order, code, sub_id, specimen)


def content_digest(content: bytes) -> str:
    """The digest that tells a message sent again from another one under the same id."""
    return hashlib.sha256(content).hexdigest()


def seal_place(message_key: str, digest: str) -> bytes:
    """The place in the log that a sealed message belongs to (associated data of its seal)."""
    return f"laboratory message\0{message_key}\0{digest}".encode()
