"""Schemes: sealed in order, never edited, used from their sealing on, revealed once."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from services.randomization import domain
from services.randomization.allocation import method_named
from services.randomization.balance import dynamic_method
from services.randomization.commands import (
    AnyScheme,
    BiasedCoinScheme,
    BlockedScheme,
    RandomizeSubject,
    RevealSeed,
    Scheme,
)
from services.randomization.events import ArmShare, EligibilityAssessed, SubjectRandomized
from services.randomization.scheme import (
    REVEALING,
    SCHEME_OUTDATED,
    SCHEME_REVEALED,
    SEALING,
    UNKNOWN_SCHEME,
    Secret,
    checked,
    committed,
    default_scheme,
    listed,
    stratum_under,
)
from shared.problems import INVALID, WRITE_CONFLICT, Problem
from shared.protocol import Protocol, load_protocol
from shared.protocol.model import Factor
from tests.randomization.examples import SECRET, randomized, ready_to_randomize, revealed, sealed, sealed_as
from tests.randomization.trials import DYNAMIC_SCHEMES, DYNAMIC_SECRET
from tests.scenario import given

PROTOCOL = load_protocol()
S = "01-001"
RANDOMIZE = RandomizeSubject(subject=S)
OTHER = Secret(seed=bytes(32), nonce=bytes(32), block_sizes=(4,))
REVEAL = RevealSeed(
    reason="database lock", scheme=1, seed=SECRET.seed.hex(), nonce=SECRET.nonce.hex(), block_sizes=SECRET.block_sizes
)


def body(**members: Any) -> BlockedScheme:
    return default_scheme(PROTOCOL).model_copy(update=members)


def command(scheme: Scheme, secret: Secret = SECRET, **members: Any) -> Any:
    return committed(PROTOCOL, scheme, "scheme-1", secret, "v1.c2VhbGVk").model_copy(update=members)


def test_versions_are_numbered_in_the_order_of_their_sealing() -> None:
    scheme = body(sites=("01",), list_length=40, block_sizes=SECRET.block_sizes)
    given().when(SEALING, command(scheme)).records(sealed(1))
    given(sealed(1)).when(SEALING, command(scheme, id="scheme-2")).records(sealed(2))


def test_the_default_is_sealed_only_where_nothing_is() -> None:
    assert given(sealed(1)).when(SEALING, command(body(), only_first=True)).events == []


def test_lists_of_named_sites_are_committed_to() -> None:
    (event,) = given().when(SEALING, command(body(sites=("01", "02")))).events
    assert set(event.model_dump()["list_roots"]) == {"RA|01", "RA|02", "RARS|01", "RARS|02"}


def test_nothing_of_a_sealed_scheme_tells_a_block_size_or_the_seed() -> None:
    told = sealed().model_dump_json()
    assert "block_sizes" not in told
    assert SECRET.seed.hex() not in told
    assert SECRET.nonce.hex() not in told


@pytest.mark.parametrize(
    "members",
    [
        {"ratio": {"MSC": 1}},
        {"ratio": {"MSC": 1, "CSA": 1, "BSC": 1}},
        {"ratio": {"MSC": 2, "CSA": 1}, "block_sizes": (4,)},
        {"block_sizes": (5,)},
        {"strata": ("weight",)},
        {"strata": ("site", "site")},
    ],
)
def test_a_scheme_that_does_not_fit_the_protocol_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        checked(PROTOCOL, body(**members))
    assert refused.value.refusal == INVALID


@pytest.mark.parametrize(
    ("method", "members", "said"),
    [
        ("biased-coin", {"ratio": {"MSC": 2, "CSA": 1}}, "equal shares"),
        ("biased-coin", {"p": Fraction(1, 3)}, "from 1/2 to 1"),
        ("urn", {"ratio": {"MSC": 2, "CSA": 1}}, "equal shares"),
        ("urn", {"alpha": 0, "beta": 0}, "one of them is positive"),
        ("minimization", {"p": Fraction(1, 2)}, "from 2/3 to 1"),
        ("minimization", {"weights": {"diagnosis": Fraction(1)}}, "each factor of the strata"),
        ("minimization", {"weights": {"diagnosis": Fraction(1), "site": Fraction(0)}}, "positive weight"),
        ("minimization", {"strata": ("site",)}, "each factor of the strata"),
    ],
)
def test_a_method_that_is_not_defined_for_its_parameters_is_not_sealed(
    method: str, members: dict[str, Any], said: str
) -> None:
    with pytest.raises(Problem) as refused:
        checked(PROTOCOL, DYNAMIC_SCHEMES[method].model_copy(update=members))
    assert refused.value.refusal == INVALID
    assert said in str(refused.value.document())


def test_parameters_are_told_but_block_sizes() -> None:
    told = {name: sealed_as(1, scheme, DYNAMIC_SECRET).parameters for name, scheme in DYNAMIC_SCHEMES.items()}
    assert told == {
        "simple": {},
        "biased-coin": {"p": "2/3"},
        "urn": {"alpha": 1, "beta": 2},
        "minimization": {"weights": {"diagnosis": "1", "site": "1/2"}, "distance": "variance", "p": "4/5"},
    }
    assert sealed().parameters == {}


@pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
def test_only_lists_have_roots(method: str) -> None:
    scheme = sealed_as(1, DYNAMIC_SCHEMES[method], DYNAMIC_SECRET)
    assert (scheme.list_length, scheme.list_roots) == (0, {})


@pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
def test_a_scheme_says_in_the_log_all_that_its_method_is_told(method: str) -> None:
    body = DYNAMIC_SCHEMES[method]
    scheme = sealed_as(1, body, DYNAMIC_SECRET)
    assert dynamic_method(scheme) == method_named(method, body.model_dump(exclude={*AnyScheme.model_fields, "method"}))


@pytest.mark.parametrize("written", ["4/5", "0.8", "8/10"])
def test_a_fraction_is_read_exactly_from_a_text(written: str) -> None:
    body = {"method": "biased-coin", "ratio": {"MSC": 1, "CSA": 1}, "strata": [], "p": written}
    assert BiasedCoinScheme.model_validate(body).p == Fraction(4, 5)


@pytest.mark.parametrize("written", [0.8, 1, "4/0", "-1/2", "1e3", "", "4/5 ", "9999999", None])
def test_anything_else_is_no_fraction(written: object) -> None:
    with pytest.raises(ValidationError):
        BiasedCoinScheme.model_validate(
            {"method": "biased-coin", "ratio": {"MSC": 1, "CSA": 1}, "strata": [], "p": written}
        )


def test_arms_and_factors_stand_in_the_protocols_order() -> None:
    scheme = checked(PROTOCOL, body(ratio={"CSA": 1, "MSC": 2}, block_sizes=(6,), strata=("site", "diagnosis")))
    assert (list(scheme.ratio), scheme.strata) == (["MSC", "CSA"], ("diagnosis", "site"))


@pytest.mark.parametrize(
    ("strata", "stratum"), [(("diagnosis", "site"), "RARS|02"), (("diagnosis",), "RARS"), (("site",), "02"), ((), "")]
)
def test_a_subject_belongs_to_the_stratum_of_the_schemes_factors(strata: tuple[str, ...], stratum: str) -> None:
    assert stratum_under(sealed(strata=strata), "RARS|02") == stratum


def test_a_ratio_of_the_scheme_is_that_of_each_block() -> None:
    scheme = sealed(secret=Secret(SECRET.seed, SECRET.nonce, (6,)), MSC=2, CSA=1)
    rows = listed(scheme.arms, Secret(SECRET.seed, SECRET.nonce, (6,)), "RA|01", 60)
    assert all(rows[first : first + 6].count("MSC") == 4 for first in range(0, 60, 6))


class TestAllocationUnderASecondVersion:
    """Its list begins anew; randomization numbers go on."""

    SECOND = sealed(2, OTHER)
    RULES = domain.allocation(PROTOCOL, SECOND, OTHER)

    def test_the_version_in_effect_allocates(self) -> None:
        history = [sealed(1), randomized("01-900", 0, listed(sealed().arms, SECRET, "RA|01", 1)[0]), self.SECOND]
        (event,) = given(*history, *ready_to_randomize()).when(self.RULES, RANDOMIZE).events
        assert isinstance(event, SubjectRandomized)
        assert (event.scheme, event.slot, event.randomization_number) == (2, 0, "RA-01-002")
        assert event.arm == listed(self.SECOND.arms, OTHER, "RA|01", 1)[0]

    def test_a_version_that_was_superseded_meanwhile_allocates_nobody(self) -> None:
        rules = domain.allocation(PROTOCOL, sealed(1), SECRET)
        given(sealed(1), self.SECOND, *ready_to_randomize()).when(rules, RANDOMIZE).rejects(WRITE_CONFLICT)

    def test_a_scheme_without_strata_has_one_list(self) -> None:
        scheme = sealed(strata=())
        rules = domain.allocation(PROTOCOL, scheme, SECRET)
        (event,) = given(scheme, *ready_to_randomize()).when(rules, RANDOMIZE).events
        assert isinstance(event, SubjectRandomized)
        assert (event.stratum, event.randomization_number) == ("", "001")


class TestAmendedProtocols:
    """A scheme allocates by the arms and the factors of the protocol that it was sealed under, and by no others."""

    @staticmethod
    def with_factors(*names: str) -> Protocol:
        by_name: dict[str, Factor] = {factor.name: factor for factor in PROTOCOL.allocation.strata}
        factors = tuple(
            by_name.get(name, by_name["site"].model_copy(update={"name": name, "levels": ("F", "M")})) for name in names
        )
        return PROTOCOL.model_copy(update={"allocation": PROTOCOL.allocation.model_copy(update={"strata": factors})})

    @pytest.mark.parametrize("names", [("diagnosis",), ("site", "diagnosis"), ("diagnosis", "site", "sex"), ()])
    @pytest.mark.parametrize("strata", [("diagnosis", "site"), ("diagnosis",), ()])
    def test_other_factors_need_a_new_scheme(self, names: tuple[str, ...], strata: tuple[str, ...]) -> None:
        scheme = sealed(strata=strata)
        rules = domain.allocation(self.with_factors(*names), scheme, SECRET)
        given(scheme, *ready_to_randomize()).when(rules, RANDOMIZE).rejects(SCHEME_OUTDATED, scheme=1)

    def test_an_arm_that_was_dropped_is_allocated_to_nobody(self) -> None:
        scheme = sealed()
        three = scheme.model_copy(update={"arms": (*scheme.arms, ArmShare(code="ATG", share=1))})
        rules = domain.allocation(PROTOCOL, three, SECRET)
        given(three, *ready_to_randomize()).when(rules, RANDOMIZE).rejects(SCHEME_OUTDATED, scheme=1)

    @pytest.mark.parametrize("stratum", ["RA", "RA|01|F", ""])
    def test_nobody_is_placed_by_the_levels_of_other_factors(self, stratum: str) -> None:
        assert stratum_under(sealed(), stratum) is None
        way = [
            event.model_copy(update={"stratum": stratum}) if isinstance(event, EligibilityAssessed) else event
            for event in ready_to_randomize()
        ]
        rules = domain.allocation(PROTOCOL, sealed(), SECRET)
        given(sealed(), *way).when(rules, RANDOMIZE).rejects(SCHEME_OUTDATED)


def test_a_revealed_scheme_allocates_nobody() -> None:
    rules = domain.allocation(PROTOCOL, sealed(), SECRET)
    given(sealed(), revealed(), *ready_to_randomize()).when(rules, RANDOMIZE).rejects(SCHEME_REVEALED)


def test_a_seed_is_revealed_once() -> None:
    given(sealed()).when(REVEALING, REVEAL).records(revealed())
    given(sealed(), revealed()).when(REVEALING, REVEAL).rejects(SCHEME_REVEALED, scheme=1)
    given().when(REVEALING, REVEAL).rejects(UNKNOWN_SCHEME, version=1)
