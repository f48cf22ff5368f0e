"""The dose: 1.0E+6 cells per kg, its volume, and whether what was given keeps to it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.visits.dosing import deliver, prepare
from shared.protocol import Dose, load_protocol


def dose_of_the_trial() -> Dose:
    dose = load_protocol().dose
    assert dose is not None
    return dose


DOSE = dose_of_the_trial()

weights = st.decimals(30, 150, places=1)
concentrations = st.decimals(10**6, 10**8, places=0)
viabilities = st.decimals(81, 100, places=1)


def test_a_subject_of_70_kg_gets_70_million_viable_cells() -> None:
    prepared = prepare(DOSE, weight_kg=Decimal(70), cells_per_mL=Decimal("1.0E+7"), viability_pct=Decimal(90))
    assert prepared.cells == 70_000_000
    assert prepared.volume_mL == Decimal("7.78")  # 70E+6 / (1E+7 × 0.9) = 7.777…, half up


def test_volumes_are_rounded_half_up_to_the_protocols_step() -> None:
    prepared = prepare(DOSE, weight_kg=Decimal("50.05"), cells_per_mL=Decimal(10_000_000), viability_pct=Decimal(100))
    assert prepared.volume_mL == Decimal("5.01")  # exactly 5.005


def test_cells_given_are_volume_times_concentration_times_viability() -> None:
    given_dose = deliver(
        DOSE,
        weight_kg=Decimal(70),
        volume_mL=Decimal("7.8"),
        cells_per_mL=Decimal(10_000_000),
        viability_pct=Decimal(90),
    )
    assert given_dose.cells == 70_200_000
    assert given_dose.cells_per_kg == 1_002_857
    assert not given_dose.deviation


@pytest.mark.parametrize(
    ("volume", "deviates"),
    [("9.0", False), ("8.9999999", True), ("11.0", False), ("11.0000001", True), ("10", False), ("0", True)],
)
def test_a_dose_deviates_beyond_10_per_cent_and_not_at_it(volume: str, deviates: bool) -> None:
    given_dose = deliver(
        DOSE,
        weight_kg=Decimal(80),
        volume_mL=Decimal(volume),
        cells_per_mL=Decimal(10_000_000),
        viability_pct=Decimal(80),
    )
    assert given_dose.deviation is deviates


@given(weights, concentrations, viabilities)
def test_a_prepared_dose_never_deviates(weight: Decimal, concentration: Decimal, viability: Decimal) -> None:
    prepared = prepare(DOSE, weight_kg=weight, cells_per_mL=concentration, viability_pct=viability)
    given_dose = deliver(
        DOSE,
        weight_kg=weight,
        volume_mL=prepared.volume_mL,
        cells_per_mL=concentration,
        viability_pct=viability,
    )
    assert not given_dose.deviation


@given(weights, concentrations, viabilities, st.decimals(0, 100, places=2), st.decimals(0, 100, places=2))
def test_more_volume_never_means_fewer_cells(
    weight: Decimal, concentration: Decimal, viability: Decimal, some: Decimal, more: Decimal
) -> None:
    low, high = (
        deliver(DOSE, weight_kg=weight, volume_mL=v, cells_per_mL=concentration, viability_pct=viability)
        for v in sorted((some, more))
    )
    assert low.cells <= high.cells
    assert low.cells_per_kg <= high.cells_per_kg


def test_a_product_without_viable_cells_has_no_dose() -> None:
    with pytest.raises(ValueError, match="without viable cells"):
        prepare(DOSE, weight_kg=Decimal(70), cells_per_mL=Decimal(10_000_000), viability_pct=Decimal(0))


def test_a_weight_is_above_zero() -> None:
    with pytest.raises(ValueError, match="above zero"):
        deliver(
            DOSE,
            weight_kg=Decimal(0),
            volume_mL=Decimal(7),
            cells_per_mL=Decimal(10_000_000),
            viability_pct=Decimal(90),
        )


def test_the_largest_measurements_are_multiplied_without_a_fault() -> None:
    largest = Decimal("9" * 15)
    given_dose = deliver(
        DOSE, weight_kg=Decimal("1E-12"), volume_mL=largest, cells_per_mL=largest, viability_pct=Decimal(100)
    )
    assert given_dose.deviation
