"""How the criteria of eligibility are worded for others: each fact with its bounds, as criteria of inclusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.protocol.criteria import Criterion
from shared.protocol.usdm.model import EligibilityCriterion, EligibilityCriterionItem
from shared.protocol.usdm.terms import INCLUSION, coded

_BOUNDS = {
    "at_least": "at least {}",
    "more_than": "more than {}",
    "at_most": "at most {}",
    "less_than": "less than {}",
    "equals": "{}",
    "differs_from": "not {}",
}


def wording(criterion: Criterion) -> str:
    """A criterion in words: `age_years is at least 18 and at most 80`."""
    bounds = [
        words.format(str(bound).lower() if isinstance(bound, bool) else bound)
        for name, words in _BOUNDS.items()
        if (bound := getattr(criterion, name)) is not None
    ]
    when = "".join(f", where {fact} is {value}" for fact, value in criterion.when.items())
    return f"{criterion.fact} is {' and '.join(bounds)}{when}"


def eligibility(
    criteria: Sequence[Criterion], new_id: Callable[[str], str]
) -> tuple[tuple[EligibilityCriterion, ...], tuple[EligibilityCriterionItem, ...]]:
    """The criteria in their order, and the items that word them."""
    items = [
        EligibilityCriterionItem(
            id=new_id("EligibilityCriterionItem"), name=f"{place}-{each.code}", label=each.code, text=wording(each)
        )
        for place, each in enumerate(criteria, start=1)
    ]
    ids = [new_id("EligibilityCriterion") for _ in items]
    return tuple(
        EligibilityCriterion(
            id=id_,
            name=item.name,
            label=item.label,
            category=coded(INCLUSION, new_id),
            identifier=str(place),
            criterion_item_id=item.id,
            previous_id=before,
            next_id=after,
        )
        for place, (id_, item, before, after) in enumerate(
            zip(ids, items, [None, *ids[:-1]], [*ids[1:], None], strict=True), start=1
        )
    ), tuple(items)
