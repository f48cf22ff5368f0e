"""Which terms of CDISC controlled terminology a schedule uses, what durations are written as, and our own extensions.

The codes were compared with the DDF and SDTM terminology of 2026-03-27. Timings bear its submission values, all others
its preferred terms. In no code list of that release: the type of the sponsor's organisation, which no protocol document
tells; the extensible list C188724 gets "Clinical Study Sponsor".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shared.protocol.usdm.model import Code

CODE_SYSTEM = "http://www.cdisc.org"
CODE_SYSTEM_VERSION = "2026-03-27"

Term = tuple[str, str]

FIXED_REFERENCE: Term = ("C201358", "Fixed Reference")
AFTER: Term = ("C201356", "After")
BEFORE: Term = ("C201357", "Before")
START_TO_START: Term = ("C201355", "Start to Start")
TREATMENT_ARM: Term = ("C15538", "Protocol Treatment Arm")
WITHIN_STUDY: Term = ("C188866", "Data Generated Within Study")
SCREENING: Term = ("C202487", "Screening Epoch")
TREATMENT: Term = ("C101526", "Treatment Epoch")
VISIT: Term = ("C25716", "Visit")
PARALLEL: Term = ("C82639", "Parallel Study")
SINGLE_GROUP: Term = ("C82640", "Single Group Study")
INTERVENTIONAL: Term = ("C98388", "Interventional Study")
OFFICIAL_TITLE: Term = ("C207616", "Official Study Title")
INCLUSION: Term = ("C25532", "Inclusion Criteria")
SPONSOR: Term = ("C70793", "Clinical Study Sponsor")

EXTENSION = "urn:marrow:usdm:"
"""Before the name of what the standard has no attribute for: an arm's ratio, treatment and anchor; a schedule's month
rule; the arms of a condition."""

ON_TREATMENT = "on-treatment"
"""The name of the condition under which items end with the treatment."""

DURATION = re.compile(r"P(?:(?P<days>\d{1,6})D|(?P<weeks>\d{1,6})W|T(?P<hours>\d{1,6})H)", re.ASCII)
"""The ISO 8601 durations that a protocol document can say. Months and years of the calendar are not among them."""


def coded(term: Term, new_id: Callable[[str], str]) -> Code:
    """A term as an instance of its own."""
    code, decode = term
    return Code(
        id=new_id("Code"), code=code, code_system=CODE_SYSTEM, code_system_version=CODE_SYSTEM_VERSION, decode=decode
    )
