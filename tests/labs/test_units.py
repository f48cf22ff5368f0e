"""Canonical units: exact factors, the traps that laboratories set, and what is refused rather than guessed."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.units import (
    ANALYTES,
    MOLAR_DIGITS,
    AmbiguousUnitError,
    ImplausibleValueError,
    MissingUnitError,
    UnitError,
    UnknownAnalyteError,
    UnknownUnitError,
    canonical,
    convert,
    identify,
    normal_unit,
)

MEASUREMENTS = st.decimals(min_value=0, max_value=100_000, places=3)
ROWS = [(code, unit) for code, analyte in ANALYTES.items() for unit in analyte.accepts]
EXACT_ROWS = [(code, unit) for code, unit in ROWS if "/" not in ANALYTES[code].accepts[unit]]


class TestConversion:
    @pytest.mark.parametrize(
        ("code", "value", "unit", "expected"),
        [
            ("HGB", "12.5", "g/dL", "125"),
            ("HGB", "12", "g/dL", "120"),
            ("HGB", "165.92", "g/L", "165.92"),
            ("HGB", "7.4", "mmol(Fe)/L", "119.25"),
            ("HGB", "1.85", "mmol(Hb4)/L", "119.25"),
            ("WBC", "105600", "{cells}/uL", "105.600"),
            ("PLT", "210000", "/mm³", "210.000"),
            ("RBC", "4.41", "10*6/uL", "4.41"),
            ("RETI", "0.05", "10*12/L", "50"),
            ("CREAT", "1.0", "mg/dL", "88.402"),
            ("CREAT", "1.2", "mg/dL", "106.08"),
            ("CREAT", "0.088", "mmol/L", "88"),
            ("BILI", "1.0", "mg/dL", "17.104"),
            ("UREA", "5.0", "mmol/L", "5.0"),
            ("ALT", "0.5", "ukat/L", "30.0"),
            ("CSA", "150", "ng/mL", "150"),
            ("CSA", "100", "nmol/L", "120.26"),
            ("FERR", "3000", "ng/mL", "3000"),
            ("MCV", "91", "fL", "91"),
            ("BLAST_BM", "4", "PERCENT", "4"),
            ("RS_BM", "0.15", "{fraction}", "15"),
            ("TREG", "35", "‰", "3.5"),
        ],
    )
    def test_gives_the_canonical_value(self, code: str, value: str, unit: str, expected: str) -> None:
        result = canonical(code, Decimal(value), unit)
        assert result == Decimal(expected)

    @pytest.mark.parametrize(
        ("value", "unit", "expected"), [("12.50", "g/dL", "125.0"), ("12", "g/dL", "120"), ("99.90", "g/L", "99.90")]
    )
    def test_a_power_of_ten_keeps_the_digits_that_were_sent(self, value: str, unit: str, expected: str) -> None:
        assert str(canonical("HGB", Decimal(value), unit)) == expected

    def test_176_umol_of_creatinine_are_1_99_mg_per_dl(self) -> None:
        assert round(convert("CREAT", Decimal("1.99"), "mg/dL")) == 176


class TestSpellings:
    @pytest.mark.parametrize(
        "unit",
        ["10*9/L", "x10*9/L", "10^9/L", "x10^9/l", "10E9/L", "X10e09/L", "10**9/L", "10⁹/L", "×10⁹/l", "x 10^9 / L",
         "giga.l-1", "Gpt/l", "G/L", "G/l", "K/uL", "K/µL", "k/μl", "10*3/uL", "10^3/mm^3", "/nL"],
    )  # fmt: skip
    def test_of_10_to_the_9_per_litre_mean_it_for_a_blood_count(self, unit: str) -> None:
        assert canonical("WBC", Decimal("6.43"), unit) == Decimal("6.43")

    @pytest.mark.parametrize("unit", ["T/L", "tril/L", "tera.l-1", "M/uL", "x10*12/L", "10^6/µl", "/pL"])
    def test_of_10_to_the_12_per_litre_mean_it_for_erythrocytes(self, unit: str) -> None:
        assert canonical("RBC", Decimal("4.41"), unit) == Decimal("4.41")

    def test_both_code_points_of_the_micro_sign_are_the_same(self) -> None:
        assert normal_unit("\u00b5mol/L") == normal_unit("\u03bcmol/L") == "umol/L"

    @pytest.mark.parametrize(
        ("code", "unit"),
        [
            ("HGB", "K/uL"), ("RBC", "K/uL"), ("HGB", "T/L"), ("FERR", "G/L"), ("WBC", "g/L"), ("WBC", "T/L"),
            ("PLT", "M/uL"), ("CREAT", "g/L"), ("NEUT", "%"), ("RETI", "%"), ("WBC", "10*9/mL"), ("HGB", "g/l-1"),
        ],
    )  # fmt: skip
    def test_look_alikes_mean_nothing_for_another_analyte(self, code: str, unit: str) -> None:
        with pytest.raises(UnknownUnitError):
            canonical(code, Decimal(5), unit)

    def test_a_site_may_name_its_own_spelling(self) -> None:
        aliases = {"mmol/L": "mmol{monomer}/L", "Zellen": "10*9/L"}
        assert canonical("HGB", Decimal("7.4"), "mmol/L", aliases=aliases) == Decimal("119.25")
        assert canonical("WBC", Decimal("7.4"), "Zellen", aliases=aliases) == Decimal("7.4")

    def test_a_sites_spelling_cannot_add_a_unit_to_the_list(self) -> None:
        with pytest.raises(UnknownUnitError):
            canonical("HGB", Decimal("7.4"), "g", aliases={"g": "g/mL"})


class TestRefusals:
    def test_haemoglobin_in_grams_per_millilitre_is_a_senders_error(self) -> None:
        """The complete blood count sample of the NIST LRI guide says 12.5 g/mL: valid UCUM, wrong by 100."""
        with pytest.raises(UnknownUnitError):
            canonical("HGB", Decimal("12.5"), "g/mL")

    def test_haemoglobin_in_mmol_is_not_guessed_between_monomer_and_tetramer(self) -> None:
        for sent_as in (None, "59260-0"):
            with pytest.raises(AmbiguousUnitError):
                canonical("HGB", Decimal("7.4"), "mmol/L", sent_as=sent_as)

    def test_urea_in_mg_is_read_only_with_the_code_that_tells_urea_from_nitrogen(self) -> None:
        assert canonical("UREA", Decimal(14), "mg/dL", sent_as="3094-0") == Decimal("4.9976")
        assert canonical("UREA", Decimal(14), "mg/dL", sent_as="bun") == Decimal("4.9976")
        assert canonical("UREA", Decimal(30), "mg/dL", sent_as="3091-6") == Decimal("4.9954")
        for sent_as in (None, "22664-7", "UREA"):
            with pytest.raises(AmbiguousUnitError):
                canonical("UREA", Decimal(14), "mg/dL", sent_as=sent_as)

    @pytest.mark.parametrize("unit", ["", "  ", "\t"])
    def test_a_unit_that_was_not_sent_is_not_assumed(self, unit: str) -> None:
        with pytest.raises(MissingUnitError):
            canonical("BLAST_BM", Decimal("0.05"), unit)

    @pytest.mark.parametrize(
        ("code", "value", "unit"),
        [
            ("HGB", "12.5", "g/L"), ("HGB", "125", "g/dL"), ("PLT", "210000", "10*9/L"), ("RBC", "0", "10*12/L"),
            ("WBC", "-1", "10*9/L"), ("BLAST_BM", "5", "1"), ("BLAST_BM", "100.1", "%"), ("CREAT", "1.2", "umol/L"),
            ("HGB", "NaN", "g/L"), ("HGB", "Infinity", "g/L"), ("HGB", "1E+999999", "g/L"),
            ("PLT", "0E-999999", "10*9/L"), ("HGB", "1.00000000000000000001", "g/L"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_true_of_a_patient_is_implausible(self, code: str, value: str, unit: str) -> None:
        with pytest.raises(ImplausibleValueError):
            canonical(code, Decimal(value), unit)

    def test_another_analyte_is_unknown(self) -> None:
        with pytest.raises(UnknownAnalyteError):
            canonical("SODIUM", Decimal(140), "mmol/L")

    def test_every_refusal_has_a_name_of_its_own(self) -> None:
        kinds = UnitError.__subclasses__()
        assert len({kind.problem for kind in kinds}) == len(kinds) == 5

    @given(st.sampled_from(sorted(ANALYTES)), st.decimals(), st.text(max_size=80), st.none() | st.text(max_size=8))
    def test_no_input_raises_anything_but_a_unit_error(
        self, code: str, value: Decimal, unit: str, sent_as: str | None
    ) -> None:
        for candidate in (unit, ANALYTES[code].unit, *ANALYTES[code].accepts):
            try:
                result = canonical(code, value, candidate, sent_as=sent_as)
            except UnitError:
                continue
            assert ANALYTES[code].low <= result <= ANALYTES[code].high


class TestArithmetic:
    @given(st.sampled_from(EXACT_ROWS), MEASUREMENTS)
    def test_a_decimal_factor_is_exact(self, row: tuple[str, str], value: Decimal) -> None:
        code, unit = row
        result = convert(code, value, unit)
        assert Fraction(result) == Fraction(value) * Fraction(ANALYTES[code].accepts[unit])

    @given(st.sampled_from(ROWS), MEASUREMENTS)
    def test_a_molar_factor_is_right_to_five_digits(self, row: tuple[str, str], value: Decimal) -> None:
        result = convert(row[0], value, row[1])
        true = Fraction(value) * Fraction(*map(Fraction, ANALYTES[row[0]].accepts[row[1]].split("/")))
        assert abs(Fraction(result) - true) <= true * Fraction(5, 10**MOLAR_DIGITS)

    @given(st.sampled_from(ROWS), MEASUREMENTS)
    def test_a_value_comes_back_by_the_inverse_factor(self, row: tuple[str, str], value: Decimal) -> None:
        result = convert(row[0], value, row[1])
        back = Fraction(result) / Fraction(*map(Fraction, ANALYTES[row[0]].accepts[row[1]].split("/")))
        assert abs(back - Fraction(value)) <= Fraction(value) * Fraction(5, 10**MOLAR_DIGITS)

    @given(st.sampled_from(ROWS), MEASUREMENTS, MEASUREMENTS)
    def test_order_is_preserved(self, row: tuple[str, str], first: Decimal, second: Decimal) -> None:
        lower, higher = (convert(row[0], value, row[1]) for value in sorted((first, second)))
        assert lower <= higher

    @given(st.sampled_from(ROWS), MEASUREMENTS)
    def test_no_result_is_written_with_an_exponent(self, row: tuple[str, str], value: Decimal) -> None:
        result = convert(row[0], value, row[1])
        assert result.is_zero() or "E+" not in str(result)


class TestIdentification:
    @pytest.mark.parametrize(
        ("system", "code", "analyte"),
        [
            ("LN", "718-7", "HGB"),
            ("http://loinc.org", "26464-8", "WBC"),
            ("", "Hb", "HGB"),
            ("L", "plt", "PLT"),
            ("99TRIAL", "TRIAL:BM-BLAST-PCT", "BLAST_BM"),
            ("WinPath", "tt-0002-09", "NEUT"),
            ("WinPath", "tt-0003-01", "CREAT"),
        ],
    )
    def test_by_loinc_by_local_name_or_by_a_laboratorys_own_code(self, system: str, code: str, analyte: str) -> None:
        assert identify([(system, code)]) == analyte

    @pytest.mark.parametrize(
        ("system", "code"),
        [("", "718-7"), ("LN", "32997-9"), ("LN", "HGB"), ("L", "tt-0002-09"), ("LN", "74233-8"), ("", ""),
         ("LN", "26446-5"), ("WinPath", "tt-0002-08")],
    )  # fmt: skip
    def test_never_by_resemblance(self, system: str, code: str) -> None:
        """A LOINC code without its system, the C2 level of ciclosporin, blasts in blood: none is the analyte."""
        assert identify([(system, code)]) is None

    def test_the_alternate_coding_counts_and_loinc_comes_first(self) -> None:
        assert identify([("99USI", "4456544"), ("LN", "777-3")]) == "PLT"
        assert identify([("L", "HGB"), ("LN", "777-3")]) == "PLT"

    def test_a_sites_alias_comes_before_everything(self) -> None:
        assert identify([("LN", "718-7")], aliases={("LN", "718-7"): "PLT"}) == "PLT"


class TestTable:
    def test_the_analytes_are_those_of_the_contract(self) -> None:
        assert list(ANALYTES) == [
            "WBC", "NEUT", "LYM", "PLT", "RETI", "RBC", "HGB", "MCV", "CREAT", "UREA", "ALT", "BILI", "CSA", "FERR",
            "BLAST_BM", "RS_BM", "CELL_BM", "TREG",
        ]  # fmt: skip

    @pytest.mark.parametrize("code", ANALYTES)
    def test_the_canonical_unit_is_accepted_as_it_is(self, code: str) -> None:
        assert ANALYTES[code].accepts[ANALYTES[code].unit] == "1"

    @pytest.mark.parametrize("code", ANALYTES)
    def test_every_unit_that_is_named_is_accepted_or_declared_ambiguous(self, code: str) -> None:
        analyte = ANALYTES[code]
        named = {*analyte.spells.values(), *(unit for row in analyte.reads.values() for unit in row.values())}
        assert named <= {*analyte.accepts, *analyte.ambiguous}
        assert not analyte.accepts.keys() & analyte.ambiguous.keys()

    def test_no_code_or_local_name_means_two_analytes(self) -> None:
        names = [name.casefold() for analyte in ANALYTES.values() for name in (*analyte.loinc, *analyte.local)]
        assert len(names) == len(set(names))

    def test_loinc_codes_have_their_check_digit_and_a_source(self) -> None:
        for analyte in ANALYTES.values():
            for code, source in analyte.loinc.items():
                number, check = code.split("-")
                doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[::-1][::2])
                assert (doubled + sum(map(int, number[::-1][1::2])) + int(check)) % 10 == 0, code
                assert source in ("checked", "verify")
