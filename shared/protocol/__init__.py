"""The protocol as data, and the trial's published language: what a subject, an arm, a measurement is."""

from shared.protocol.criteria import Criterion, Fact
from shared.protocol.deviations import DeviationGrade, Deviations
from shared.protocol.document import DocumentFault, ProtocolDocumentError, load_protocol, parse_protocol, protocol_text
from shared.protocol.language import (
    AnalyteCode,
    ArmCode,
    Code,
    Measurement,
    Percentage,
    PositiveMeasurement,
    SiteId,
    SubjectId,
    site_of,
)
from shared.protocol.model import Arm, Csa, Dose, Protocol, Safety, SecondDose
from shared.protocol.response import Iwg2006, Iwg2018, Response
from shared.protocol.schedule import Activity, Anchor, Schedule, Window
from shared.protocol.versions import Protocols

__all__ = [
    "Activity",
    "AnalyteCode",
    "Anchor",
    "Arm",
    "ArmCode",
    "Code",
    "Criterion",
    "Csa",
    "DeviationGrade",
    "Deviations",
    "DocumentFault",
    "Dose",
    "Fact",
    "Iwg2006",
    "Iwg2018",
    "Measurement",
    "Percentage",
    "PositiveMeasurement",
    "Protocol",
    "ProtocolDocumentError",
    "Protocols",
    "Response",
    "Safety",
    "Schedule",
    "SecondDose",
    "SiteId",
    "SubjectId",
    "Window",
    "load_protocol",
    "parse_protocol",
    "protocol_text",
    "site_of",
]
