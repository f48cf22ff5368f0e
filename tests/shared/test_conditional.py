"""Entity tags: who holds an answer already is not sent it again (RFC 9110 §13.1.2)."""

from __future__ import annotations

import pytest

from shared.conditional import holds, weak_entity_tag

TAG = weak_entity_tag("name", [1, 2])
OPAQUE = TAG.removeprefix("W/")


def test_the_same_values_have_the_same_tag_and_others_another() -> None:
    assert weak_entity_tag("name", [1, 2]) == TAG != weak_entity_tag("name", [1, 3])
    assert TAG.startswith('W/"')


@pytest.mark.parametrize("header", [TAG, OPAQUE, f'"other", {TAG}', "*"])
def test_a_header_that_names_the_tag_holds_it(header: str) -> None:
    assert holds(header, TAG)


@pytest.mark.parametrize("header", [None, "", '"other"', OPAQUE.strip('"')])
def test_any_other_header_does_not(header: str | None) -> None:
    assert not holds(header, TAG)
