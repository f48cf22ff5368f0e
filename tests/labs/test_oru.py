"""What a laboratory message reports: results with their orders, and nothing of the patient's demographics."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs import oru
from services.labs.charset import decode
from services.labs.er7 import parse
from services.labs.hl7_errors import ErrorCode, Hl7Error
from services.labs.hl7_report import Observation, Report
from services.labs.numerics import Number
from services.labs.transmission import split
from services.labs.units import canonical, identify
from tests.corpus import CORPUS, needs_corpus

ZONE = ZoneInfo("Asia/Shanghai")
MSH = "MSH|^~\\&|LIS|LAB^1.2.3^ISO|MARROW|01|20261004101500||ORU^R01^ORU_R01|42|P|2.5.1|||AL|NE"
PID = "PID|1||01-001^^^MARROW&1.2&ISO^PI~123^^^HOSP^MR||Doe^Jane||19610615|F|||1 Long Street^^Tianjin"
OBR = "OBR|1|P1^CLINIC|F1^LAB|58410-2^CBC^LN|||20261004080000|||||||20261004083000||||||||20261004100000|||F"
HGB = (
    "OBX|1|NM|718-7^Hemoglobin^LN^HB^Hb^L||99.90|g/L^^UCUM|[ 120 - 160 ]|L~A|||F|||20261004080000|||LC^method^99M"
    "||20261004091500"
)


def read(*segments: str, msh: str = MSH) -> Report:
    return oru.read(parse("\r".join((msh, *segments)) + "\r"), ZONE)


def only(report: Report) -> Observation:
    [(_, observation)] = report.results()
    return observation


class TestHeader:
    def test_names_sender_and_message(self) -> None:
        header = read(PID, OBR, HGB).header
        assert (header.sending_application, header.sending_facility) == ("LIS", "LAB")
        assert (header.message_type, header.trigger_event, header.control_id) == ("ORU", "R01", "42")

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            ("ORU^R01^ORU_R01", "ADT^A01", ErrorCode.UNSUPPORTED_MESSAGE_TYPE),
            ("ORU^R01^ORU_R01", "ORU^R30", ErrorCode.UNSUPPORTED_EVENT_CODE),
            ("ORU^R01^ORU_R01", "ORU", ErrorCode.UNSUPPORTED_EVENT_CODE),
            ("|P|", "|X|", ErrorCode.UNSUPPORTED_PROCESSING_ID),
            ("2.5.1", "3.0", ErrorCode.UNSUPPORTED_VERSION_ID),
            ("|42|", "||", ErrorCode.REQUIRED_FIELD_MISSING),
        ],
    )
    def test_of_another_kind_of_message_is_refused(self, old: str, new: str, code: ErrorCode) -> None:
        with pytest.raises(Hl7Error) as refusal:
            read(PID, OBR, HGB, msh=MSH.replace(old, new))
        assert refusal.value.code is code
        assert refusal.value.location is not None
        assert refusal.value.location.segment == "MSH"


class TestPatient:
    def test_identifiers_come_with_authority_and_type(self) -> None:
        first, second = read(PID, OBR, HGB).identifiers
        assert (first.value, first.authority, first.authority_id, first.kind) == ("01-001", "MARROW", "1.2", "PI")
        assert (second.value, second.authority, second.kind) == ("123", "HOSP", "MR")

    def test_no_name_birth_date_or_address_leaves_the_message(self) -> None:
        report = repr(read(PID, OBR, HGB, "ZPI|1|Doe^Jane", "NK1|1|Doe^John"))
        assert not [word for word in ("Doe", "Jane", "John", "19610615", "Long Street", "Tianjin") if word in report]

    @pytest.mark.parametrize("segments", [(OBR, HGB), (PID, HGB), (PID,), (PID, OBR, HGB, PID, OBR, HGB)])
    def test_none_several_or_no_order_is_condition_100(self, segments: tuple[str, ...]) -> None:
        with pytest.raises(Hl7Error) as refusal:
            read(*segments)
        assert refusal.value.code is ErrorCode.SEGMENT_SEQUENCE_ERROR


class TestOrder:
    def test_has_its_numbers_code_times_and_status(self) -> None:
        [order] = read(PID, OBR, HGB).orders
        assert (order.placer.value, order.filler.value, order.filler.namespace) == ("P1", "F1", "LAB")
        assert (order.code.loinc, order.status) == ("58410-2", "F")
        assert order.observed_at is not None
        assert order.observed_at.at == datetime(2026, 10, 4, 0, 0, tzinfo=UTC)
        assert order.reported_at is not None

    def test_an_offset_in_msh_7_is_the_default_of_the_message(self) -> None:
        [order] = read(PID, OBR, HGB, msh=MSH.replace("20261004101500", "20261004101500+0100")).orders
        assert order.observed_at is not None
        assert order.observed_at.at == datetime(2026, 10, 4, 7, 0, tzinfo=UTC)

    def test_results_and_notes_go_to_the_order_and_observation_before_them(self) -> None:
        report = read(PID, "NTE|1||all", OBR, "NTE|1||order", HGB, "NTE|1||low", "NTE|2||again", OBR, HGB)
        first, second = report.orders
        assert (report.notes, first.notes, first.observations[0].notes) == (("all",), ("order",), ("low", "again"))
        assert (len(second.observations), second.observations[0].notes) == (1, ())
        assert [observation.sequence for _, observation in report.results()] == [1, 2]

    def test_a_specimen_after_the_results_of_an_oru_is_that_of_the_order(self) -> None:
        report = read(
            PID, OBR, HGB, "SPM|1|P7&X^F7&LAB||BLD|||||||||||||20261004075500", "OBX|1|NM|1-8^Volume^LN||3|mL"
        )
        [order] = report.orders
        [specimen] = order.specimens
        assert (specimen.identifier.value, specimen.identifier.namespace, specimen.kind.code) == ("F7", "LAB", "BLD")
        assert [observation.about for observation in order.observations] == ["result", "specimen"]
        assert len(list(report.results())) == 1

    def test_a_specimen_before_the_results_of_an_oru_does_not_hide_them(self) -> None:
        assert only(read(PID, OBR, "SPM|1|P7||BLD", HGB)).code.loinc == "718-7"

    def test_the_orders_of_an_oul_have_the_specimen_before_them(self) -> None:
        msh = MSH.replace("ORU^R01^ORU_R01", "OUL^R22^OUL_R22")
        report = read(PID, "SPM|1|P1||BLD", OBR, HGB, "SPM|2|P2||BMA", "OBX|1|ST|X||clotted", OBR, HGB, msh=msh)
        assert [order.specimens[0].identifier.value for order in report.orders] == ["P1", "P2"]
        assert [observation.about for observation in report.other_observations] == ["specimen"]


class TestObservation:
    def test_keeps_what_was_sent_beside_what_was_read(self) -> None:
        observation = only(read(PID, OBR, HGB))
        [value] = observation.values
        assert (value.sent, value.number) == ("99.90", Number(Decimal("99.90")))
        assert (observation.code.loinc, observation.code.pairs) == ("718-7", (("LN", "718-7"), ("L", "HB")))
        assert (observation.unit.code, observation.flags, observation.status) == ("g/L", ("L", "A"), "F")
        assert observation.reference_range.text == "[ 120 - 160 ]"
        assert (observation.reference_range.low, observation.reference_range.high) == (Decimal(120), Decimal(160))
        assert observation.observed_at is not None
        assert observation.analysed_at is not None
        assert observation.method.code == "LC"

    def test_loinc_is_found_in_the_alternate_triple(self) -> None:
        assert only(read(PID, OBR, "OBX|1|NM|HB^Hb^L^718-7^Hemoglobin^LN||99")).code.loinc == "718-7"

    @pytest.mark.parametrize(
        ("value_type", "sent", "number"),
        [
            ("NM", "<9", Number(Decimal(9), "<")),
            ("ST", "> 100", Number(Decimal(100), ">")),
            ("SN", "^182", Number(Decimal(182))),
            ("SN", ">=^5", Number(Decimal(5), ">=")),
            ("SN", "^1^:^128", None),
            ("NM", "haemolysed", None),
            ("TX", "12", None),
            ("", "12", Number(Decimal(12))),
        ],
    )
    def test_the_number_is_read_by_type(self, value_type: str, sent: str, number: Number | None) -> None:
        report = read(PID, OBR, f"OBX|1|{value_type}|A||{sent}")
        assert only(report).values[0].number == number
        listed = [unread for unread in report.unread if unread.where == "OBX[1]-5"]
        assert [unread.text for unread in listed] == ([sent] if value_type in ("NM", "SN") and number is None else [])

    def test_a_repeated_value_is_kept_whole(self) -> None:
        assert [value.text for value in only(read(PID, OBR, "OBX|1|NM|A||27~25")).values] == ["27", "25"]

    def test_a_coded_value_has_its_codings(self) -> None:
        observation = only(read(PID, OBR, "OBX|1|CWE|A||260415000^not detected^SCT^^^^^^None seen"))
        [value] = observation.values
        assert value.coded is not None
        assert (value.text, value.coded.code, value.coded.original_text) == ("not detected", "260415000", "None seen")

    def test_an_explicit_null_has_no_value(self) -> None:
        observation = only(read(PID, OBR, 'OBX|1|NM|A||""||||||D'))
        assert (observation.values, observation.is_null, observation.status) == ((), True, "D")

    def test_a_unit_with_an_unescaped_caret_is_put_together(self) -> None:
        assert only(read(PID, OBR, "OBX|1|NM|A||4|10^9/L")).unit.code == "10^9/L"
        assert only(read(PID, OBR, "OBX|1|NM|A||4|10\\S\\9/L")).unit.code == "10^9/L"


class TestUnread:
    def test_lists_segments_fields_times_and_codes_that_were_not_understood(self) -> None:
        report = read(PID, "ZDS|1|x", OBR, "OBX|1|NM|||5|g/L||||5|F|||yesterday")
        assert {(unread.where, unread.reason) for unread in report.unread} >= {
            ("ZDS[1]", "segment not read"),
            ("PID[1]", "demographics are withheld"),
            ("OBX[1]-14", "not an HL7 timestamp"),
            ("OBX[1]-3", "no observation identifier"),
            ("OBX-10", "field not read"),
        }

    @given(st.lists(st.sampled_from([OBR, HGB, "NTE|1||n", "SPM|1|S", "SAC|1", "ORC|RE", "ZZZ|1"]), max_size=12))
    def test_every_observation_order_and_specimen_is_in_the_report(self, segments: list[str]) -> None:
        report = read(PID, *segments, OBR)
        kept = [*report.other_observations, *(o for order in report.orders for o in order.observations)]
        assert sorted(o.sequence for o in kept) == list(range(1, segments.count(HGB) + 1))
        assert len(report.orders) == segments.count(OBR) + 1
        assert len(report.specimens) == segments.count("SPM|1|S")


@given(st.lists(st.text(alphabet='|^~\\&"0123456789<>.-+AXNMSFT \n', max_size=40), max_size=6), st.booleans())
def test_no_segments_raise_anything_but_a_refusal(tails: list[str], is_result: bool) -> None:
    names = ["OBX|1|NM|" if is_result else "OBX|", "OBR|", "SPM|", "NTE|1|", "PID|", "MSH|"]
    with suppress(Hl7Error):
        read(PID, OBR, *(name + tail for name, tail in zip(names, tails, strict=False)))


@given(st.binary())
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    for candidate in (body, MSH.encode() + b"\r" + body, f"{MSH}\r{PID}\r{OBR}\rOBX|1|".encode() + body):
        try:
            for text in split(decode(candidate)).messages:
                oru.read(parse(text), ZONE)
        except Hl7Error:
            continue


def reports_of(folder: str) -> list[Path]:
    return sorted((CORPUS / "hl7v2" / folder).glob("*.hl7"))


@needs_corpus
@pytest.mark.parametrize(
    "path", [*reports_of("microsoft-fhir-converter"), *reports_of("simhospital")], ids=lambda path: path.name
)
def test_every_message_of_the_corpus_is_read_without_loss(path: Path) -> None:
    [text] = split(decode(path.read_bytes())).messages
    message = parse(text)
    report = oru.read(message, ZONE)
    counts = Counter(segment.name for segment in message.segments)
    observations = [*report.other_observations, *(o for order in report.orders for o in order.observations)]
    assert (len(observations), len(report.orders), len(report.specimens)) == (
        counts["OBX"], counts["OBR"], counts["SPM"],
    )  # fmt: skip
    for observation in observations:
        obx = message.all("OBX")[observation.sequence - 1]
        assert [value.sent for value in observation.values] == [r.text for r in obx[5].repetitions]
        assert observation.code.code == obx[3].value
    notes = [
        *report.notes,
        *(n for order in report.orders for n in order.notes),
        *(n for o in observations for n in o.notes),
    ]
    assert len(notes) == counts["NTE"]
    listed = {unread.where.split("[")[0] for unread in report.unread}
    assert counts.keys() - {"MSH", "OBR", "OBX", "SPM", "NTE"} <= listed


@needs_corpus
def test_the_blood_counts_of_simhospital_are_identified_and_canonical() -> None:
    for path in reports_of("simhospital"):
        [text] = split(decode(path.read_bytes())).messages
        for _, observation in oru.read(parse(text), ZONE).results():
            code = identify(observation.code.pairs)
            number = observation.values[0].number
            if code and number:
                result = canonical(code, number.value, observation.unit.code)
                assert result == number.value
