"""Which facts satisfy a criterion of the protocol, and which criteria fail: of eligibility, of product release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.protocol.language import Code

Fact = Decimal | int | bool | str
"""What is known about a subject or a lot: a measurement, an answer, or a code."""


class Part(BaseModel):
    """The base of every part of the protocol document: a frozen value without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Criterion(Part):
    """A named test of one fact. All the bounds that are given must hold; `when` limits it to some subjects."""

    code: Code
    fact: str
    when: dict[str, str] = Field(default_factory=dict)
    only_if_reported: bool = False
    at_least: Decimal | None = None
    more_than: Decimal | None = None
    at_most: Decimal | None = None
    less_than: Decimal | None = None
    equals: bool | str | None = None
    differs_from: str | None = None

    @model_validator(mode="after")
    def _tests_something(self) -> Criterion:
        numeric = (self.at_least, self.more_than, self.at_most, self.less_than)
        exact = (self.equals, self.differs_from)
        if all(bound is None for bound in (*numeric, *exact)):
            raise ValueError(
                "a criterion needs a bound: at_least, more_than, at_most, less_than, equals or differs_from"
            )
        return self

    def applies_to(self, facts: Mapping[str, Fact]) -> bool:
        """Whether the criterion is asked of these facts at all."""
        if self.only_if_reported and self.fact not in facts:
            return False
        return all(facts.get(fact) == value for fact, value in self.when.items())

    def holds_for(self, facts: Mapping[str, Fact]) -> bool:
        """Whether the fact lies within every bound; a fact that is not known shows nothing and fails."""
        fact = facts.get(self.fact)
        if fact is None:
            return False
        if self.equals is not None and fact != self.equals:
            return False
        if self.differs_from is not None and fact == self.differs_from:
            return False
        return self._is_within_numeric_bounds(fact)

    def _is_within_numeric_bounds(self, fact: Fact) -> bool:
        bounds = (self.at_least, self.more_than, self.at_most, self.less_than)
        if all(bound is None for bound in bounds):
            return True
        if isinstance(fact, (bool, str)):
            return False
        return (
            (self.at_least is None or fact >= self.at_least)
            and (self.more_than is None or fact > self.more_than)
            and (self.at_most is None or fact <= self.at_most)
            and (self.less_than is None or fact < self.less_than)
        )


def failed(criteria: Iterable[Criterion], facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """The codes of the criteria that apply and do not hold, in the document's order, each once."""
    codes = (c.code for c in criteria if c.applies_to(facts) and not c.holds_for(facts))
    return tuple(dict.fromkeys(codes))
