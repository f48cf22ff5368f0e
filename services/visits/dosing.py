"""How many cells a subject is to get, in which volume, and whether what was given keeps to the dose; exact decimals.

Cells are reported as whole cells and volumes to the protocol's step, both rounded half up. Whether a dose deviates is
decided on the exact product, before any rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from shared.protocol import Dose

_EXACT = Context(prec=120)  # three measurements of at most 28 digits, and constants, multiply without loss
_WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class PreparedDose:
    """What to prepare: viable cells, and the volume of product that holds them."""

    cells: Decimal
    volume_mL: Decimal  # noqa: N815 (the unit is written as the field writes it)


@dataclass(frozen=True, slots=True)
class DeliveredDose:
    """What was given: viable cells, cells per kg of body weight, and whether that is outside the tolerance."""

    cells: Decimal
    cells_per_kg: Decimal
    deviation: bool


def prepare(dose: Dose, *, weight_kg: Decimal, cells_per_mL: Decimal, viability_pct: Decimal) -> PreparedDose:  # noqa: N803
    """The dose for a body weight: cells = cells per kg × weight; volume = cells / (concentration × viability).

    Raises ValueError when the product holds no viable cells.
    """
    viable_per_mL = _viable(cells_per_mL, viability_pct)  # noqa: N806
    if viable_per_mL <= 0:
        raise ValueError("a product without viable cells has no dose")
    cells = _EXACT.multiply(dose.cells_per_kg, weight_kg)
    return PreparedDose(
        cells=_rounded(cells, _WHOLE),
        volume_mL=_rounded(_EXACT.divide(cells, viable_per_mL), dose.volume_step_mL),
    )


def deliver(
    dose: Dose,
    *,
    weight_kg: Decimal,
    volume_mL: Decimal,  # noqa: N803
    cells_per_mL: Decimal,  # noqa: N803
    viability_pct: Decimal,
) -> DeliveredDose:
    """What an infused volume amounts to: cells = volume × concentration × viability, and that per kg.

    A dose exactly at the tolerance does not deviate. Raises ValueError for a weight that is not above zero.
    """
    if weight_kg <= 0:
        raise ValueError("a body weight is above zero")
    cells = _EXACT.multiply(volume_mL, _viable(cells_per_mL, viability_pct))
    target = _EXACT.multiply(dose.cells_per_kg, weight_kg)
    off_by = _EXACT.multiply(abs(_EXACT.subtract(cells, target)), Decimal(100))
    return DeliveredDose(
        cells=_rounded(cells, _WHOLE),
        cells_per_kg=_rounded(_EXACT.divide(cells, weight_kg), _WHOLE),
        deviation=off_by > _EXACT.multiply(target, dose.tolerance_pct),
    )


def _viable(cells_per_mL: Decimal, viability_pct: Decimal) -> Decimal:  # noqa: N803
    """Viable cells in a mL, of the total concentration and the share that is viable in %."""
    return _EXACT.multiply(cells_per_mL, _EXACT.scaleb(viability_pct, -2))


def _rounded(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_UP, _EXACT)
