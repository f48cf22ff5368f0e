"""Decides who speaks on an MLLP connection, which has no place for a token: nobody does so anonymously.

A listener receives from one lab system, whose token lies in a file. It says what that system's token would say over
HTTP: its application, its site. Who may reach the listener is proved by TLS with certificates of both sides; without
it only the machine itself is heard (a loopback address), where a relay or a tunnel may end.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from shared.identity import Actor, Role
from shared.problems import Problem
from shared.settings import Settings
from shared.tokens import TokenVerifier


class NoIdentityError(Exception):
    """The listener cannot say who would speak to it, and why."""


async def sender_of(settings: Settings, verifier: TokenVerifier) -> Actor:
    """The lab system whose token the file holds now. Raises NoIdentityError."""
    path = settings.mllp_token_file
    if path is None:
        raise NoIdentityError("MARROW_MLLP_TOKEN_FILE names no token: nobody may send")
    try:
        actor = await verifier.verify(_text_of(path).strip())
    except OSError as error:
        raise NoIdentityError(f"{path} cannot be read: {error.strerror}") from error
    except Problem as problem:
        raise NoIdentityError(f"{path}: {problem.detail}") from problem
    if actor.role is not Role.LAB or actor.application is None or actor.sites is None or len(actor.sites) != 1:
        raise NoIdentityError(f"{path} holds no token of a lab system for one application and one site")
    return actor


def _text_of(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace")


def tls_of(settings: Settings, host: str) -> ssl.SSLContext | None:
    """The context that proves both sides, None for plain connections on the machine itself.

    Raises NoIdentityError where others than the machine could connect without a certificate.
    """
    certificate, authority = settings.mllp_certificate_file, settings.mllp_client_ca_file
    if (certificate is None or authority is None) and not _is_loopback(host):
        raise NoIdentityError(
            f"{host} is not this machine alone: MARROW_MLLP_CERTIFICATE_FILE and MARROW_MLLP_CLIENT_CA_FILE are needed"
        )
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, settings.mllp_private_key_file)
        if authority is not None:
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise NoIdentityError(f"the certificates cannot be read: {error}") from error
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
