"""Which USDM 4.0 document says what a protocol's arms and schedule of activities say.

Response criteria, dose and safety are not exported; of eligibility, the criteria in words and the time of screening.
"""

from __future__ import annotations

from collections import Counter
from uuid import NAMESPACE_URL, uuid5

from shared.protocol.model import Protocol
from shared.protocol.usdm.design import DesignWriter
from shared.protocol.usdm.eligibility import eligibility
from shared.protocol.usdm.model import (
    USDM_VERSION,
    Organization,
    Study,
    StudyDefinition,
    StudyIdentifier,
    StudyRole,
    StudyTitle,
    StudyVersion,
)
from shared.protocol.usdm.terms import EXTENSION, OFFICIAL_TITLE, SPONSOR, coded


class _Ids:
    """Hands out ids: the class of the instance, and a running number."""

    def __init__(self) -> None:
        self._issued: Counter[str] = Counter()

    def __call__(self, kind: str) -> str:
        self._issued[kind] += 1
        return f"{kind}_{self._issued[kind]}"


def study_definition(protocol: Protocol) -> StudyDefinition:
    """The protocol's arms and schedule as a USDM document; the same protocol always gives the same ids."""
    new_id = _Ids()
    version_id = new_id("StudyVersion")
    sponsor = Organization(
        id=new_id("Organization"),
        name=protocol.sponsor.name,
        type=coded(SPONSOR, new_id),
        identifier_scheme="name",
        identifier=protocol.sponsor.name,
    )
    role = StudyRole(
        id=new_id("StudyRole"),
        name="sponsor",
        code=coded(SPONSOR, new_id),
        applies_to_ids=(version_id,),
        organization_ids=(sponsor.id,),
    )
    criteria, criterion_items = eligibility(protocol.eligibility.criteria, new_id)
    writer = DesignWriter(protocol, new_id)
    design = writer.design(criteria)
    version = StudyVersion(
        id=version_id,
        version_identifier=protocol.version,
        rationale=protocol.title,
        study_identifiers=(StudyIdentifier(id=new_id("StudyIdentifier"), text=protocol.study_id, scope_id=sponsor.id),),
        titles=(StudyTitle(id=new_id("StudyTitle"), text=protocol.title, type=coded(OFFICIAL_TITLE, new_id)),),
        organizations=(sponsor,),
        roles=(role,),
        study_designs=(design,),
        eligibility_criterion_items=criterion_items,
        bc_surrogates=tuple(writer.surrogates.values()),
        conditions=tuple(writer.conditions()),
    )
    study = Study(
        id=str(uuid5(NAMESPACE_URL, EXTENSION + protocol.study_id)), name=protocol.study_id, versions=(version,)
    )
    return StudyDefinition(study=study, usdm_version=USDM_VERSION, system_name="Marrow")
