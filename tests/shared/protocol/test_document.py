"""Protocol documents: the trial's own, another trial's, and what is said of bad ones."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from shared.protocol import ProtocolDocumentError, load_protocol, parse_protocol
from shared.protocol.document import DEFAULT_DOCUMENT

TEXT = DEFAULT_DOCUMENT.read_text(encoding="utf-8")
ANOTHER = load_protocol(Path(__file__).with_name("three-arms-2.1.toml"))


def test_the_trials_own_document_says_what_the_register_says() -> None:
    protocol = load_protocol()
    assert (protocol.study_id, protocol.version) == ("NCT01129739", "1.0")
    assert protocol.arm_codes == ("MSC", "CSA")
    assert protocol.planned_subjects == 30
    assert protocol.allocation.block_sizes == (4, 6)
    assert protocol.dose is not None
    assert protocol.dose.cells_per_kg == Decimal(1000000)
    assert protocol.csa is not None
    assert protocol.csa.mg_per_kg_per_day == 5
    assert protocol.response.rule_set == "IWG-2006"


def test_a_stratum_joins_the_levels_in_the_factors_order() -> None:
    assert load_protocol().stratum(site="01", diagnosis="RARS") == "RARS|01"
    assert ANOTHER.stratum(diagnosis="RA", ecog="3", site="02") == "2-3|02"


def test_a_level_that_the_protocol_does_not_list_has_no_stratum() -> None:
    with pytest.raises(LookupError, match="no level of diagnosis"):
        load_protocol().stratum(diagnosis="RAEB", site="01")
    with pytest.raises(LookupError, match="needs the factor 'site'"):
        load_protocol().stratum(diagnosis="RA")


def test_a_level_may_be_a_band_of_whole_numbers() -> None:
    strata = 'name = "diagnosis"                           # (proposal)\nlevels = ["RA", "RARS"]'
    assert strata in TEXT
    banded = parse_protocol(TEXT.replace(strata, 'name = "ecog"\nlevels = ["0-1", "2"]'))
    assert [banded.stratum(ecog=ecog, site="01") for ecog in "012"] == ["0-1|01", "0-1|01", "2|01"]
    with pytest.raises(LookupError, match="'3' is no level of ecog"):
        banded.stratum(ecog="3", site="01")


def test_an_arm_that_the_protocol_does_not_have_is_not_found() -> None:
    with pytest.raises(LookupError, match="no arm 'PLACEBO'"):
        load_protocol().arm("PLACEBO")


def test_a_site_that_is_not_listed_has_the_default_zone() -> None:
    late = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
    assert load_protocol().civil_date(late, "01") == date(2026, 3, 2)
    assert ANOTHER.civil_date(late, "09") == date(2026, 3, 1)
    assert str(ANOTHER.zone("02")) == "America/New_York"


def test_another_trial_is_a_document_too() -> None:
    assert ANOTHER.arm_codes == ("HIGH", "LOW", "CARE")
    assert ANOTHER.second_dose is None
    assert [activity.prefix for activity in ANOTHER.activities_for("CARE")] == ["V"]


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ('study_id = "NCT01129739"', "", "study_id: Field required"),
        ('version = "1.0"', 'version = "one"', "version: String should match"),
        ('version = "1.0"', 'version = "1.0"\ncolour = "red"', "colour: Extra inputs are not permitted"),
        ("block_sizes = [4, 6]", "block_sizes = [4, 5]", "multiple of the ratios' sum, 2"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia/Nowhere"', "sponsor.zone.*no IANA time zone"),
        ('code = "CSA"', 'code = "MSC"', "arms.1.code: the code MSC stands twice"),
        ('prefix = "W" ', 'prefix = "C" ', "schedule.activities.1.prefix: item codes must be unique"),
        ("first = 1\nlast = 52", "first = 52\nlast = 1", "schedule.activities.0.first: .*first not after last"),
        ('prefix = "W" ', 'prefix = "W"\norigin = "moon" ', "schedule.activities.0.origin: Input should be"),
        ('arms = ["MSC"]', 'arms = ["XYZ"]', "schedule.activities.5.arms.0: no arm XYZ"),
        ('item = "E12"', 'item = "E13"', "response.evaluations.2.item: no item E13"),
        (
            'rule_set = "IWG-2006"',
            'rule_set = "IWG-2000"',
            "response.rule_set: Input should be 'IWG-2006' or 'IWG-2018'",
        ),
        (
            "baseline_below = 10, progression",
            "baseline_below = 5, progression",
            "blast_bands.1.baseline_below: must be above the one before",
        ),
        ("earliest_day = -28                           # the s", "earliest_day = -6 # s", "leaves no room for counts"),
        ("rise_min = 15\n", "rise_min = -15\n", "response.iwg_2006.hi_e.rise_min: Input should be greater than 0"),
        ("marrow_blasts_decrease_pct_min = 50", "marrow_blasts_decrease_pct_min = 101", "less than or equal to 100"),
        ("low_units_max = 7", "low_units_max = 8", "burden.low_units_max: must be below high_units_min"),
        ("low_most_in_period = 3", "low_most_in_period = 4", "low_most_in_period: must be below"),
        ('item = "INF2"', 'item = "INF3"', "second_dose.item: no item INF3"),
        ('timepoint = "M3" ', 'timepoint = "M4" ', "second_dose.timepoint: no evaluation at M4"),
        ('treatment = "ciclosporin"', 'treatment = "none"', "csa: stands exactly when"),
        ('"life-threatening"]', '"coma"]', "no seriousness criterion: coma"),
        ('name = "diagnosis"', 'name = "karyotype"', "allocation.strata.0.name: Input should be 'site', 'sex'"),
        ('levels = ["RA", "RARS"]', "", "allocation.strata.0.levels: the factor diagnosis needs its levels"),
        ("days_per_month = 30.4375", "days_per_month = nan", "schedule.days_per_month"),
        ("at_most = 2\n", "at_most = []\n", "eligibility.criteria.6.at_most"),
        ("[sponsor]", "[sponsor", "is not TOML: .*line"),
    ],
)
def test_a_bad_document_is_refused_with_the_key_and_the_rule(written: str, instead: str, message: str) -> None:
    assert written in TEXT
    with pytest.raises(ProtocolDocumentError, match=message):
        parse_protocol(TEXT.replace(written, instead, 1))


def test_a_rule_set_needs_its_numbers() -> None:
    of_2006_alone = TEXT[: TEXT.index("# HI-E under rule_set")] + TEXT[TEXT.index("# Safety ---") :]
    assert parse_protocol(of_2006_alone).response.iwg_2018 is None
    with pytest.raises(ProtocolDocumentError, match=r"response.iwg_2018: must stand where the rule set is IWG-2018"):
        parse_protocol(of_2006_alone.replace('rule_set = "IWG-2006"', 'rule_set = "IWG-2018"'))


def test_a_document_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProtocolDocumentError, match=r"absent\.toml: cannot be read"):
        load_protocol(tmp_path / "absent.toml")
