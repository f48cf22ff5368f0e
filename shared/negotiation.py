"""Which of the media types that a route can make a caller gets (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import Request

from shared.problems import NOT_ACCEPTABLE

_WEIGHT = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The media type that an Accept header likes best, the first offered of those it likes alike; None for none."""
    weights: dict[str, float] = {}
    for each in accept.lower().split(","):
        media, *parameters = each.split(";")
        weight = next((match[1] for parameter in parameters if (match := _WEIGHT.fullmatch(parameter))), "1")
        weights[media.strip()] = float(weight)

    def weight_of(media: str) -> float:
        """That of the most specific range that fits."""
        fitting = (media, f"{media.partition('/')[0]}/*", "*/*")
        return next((weights[each] for each in fitting if each in weights), 0)

    best = max(offered, key=weight_of)
    return best if weight_of(best) else None


def require_preferred(request: Request, *offered: str) -> str:
    """The media type that the request likes best of those offered. Raises NOT_ACCEPTABLE."""
    media = preferred(",".join(request.headers.getlist("accept")) or "*/*", offered)
    if media is None:
        raise NOT_ACCEPTABLE(f"{' and '.join(offered)} can be made.")
    return media
