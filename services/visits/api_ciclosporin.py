"""Daily ciclosporin over HTTP: the doses that were ordered, and what results call for."""

from __future__ import annotations

from services.visits import ciclosporin
from services.visits.answers import CiclosporinCourse
from services.visits.commands import CiclosporinDose, DoseCiclosporin
from services.visits.questions import followed_now, subject_in_log
from services.visits.subject import OF_A_SUBJECT, OTHER_TREATMENT, require_randomized
from services.visits.versions import following
from shared.answers import Written
from shared.call import Reader, SiteStaff
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, problem_responses
from shared.protocol.language import SubjectId
from shared.service import service_router

router = service_router("visits")


@router.post(
    "/subjects/{subject}/csa-doses",
    status_code=201,
    name="doseCiclosporin",
    responses=problem_responses(*OF_A_SUBJECT, OTHER_TREATMENT, ciclosporin.NOT_TREATED),
)
async def dose_ciclosporin(subject: SubjectId, body: CiclosporinDose, call: SiteStaff) -> Written:
    """Record the daily dose of ciclosporin, the first or a changed one."""
    call.require_subject(subject)
    rules = following(call.runtime.protocols, ciclosporin.dosing)
    outcome = await call.handle(rules, DoseCiclosporin.about(body, subject=subject))
    return Written(subject=subject, position=outcome.position)


@router.get(
    "/subjects/{subject}/csa-doses",
    name="getCiclosporinCourse",
    responses=problem_responses(UNKNOWN_SUBJECT, NOT_RANDOMIZED, OTHER_TREATMENT),
)
async def get_ciclosporin_course(subject: SubjectId, call: Reader) -> CiclosporinCourse:
    """When each daily dose held, and what creatinine and trough call for, from the log itself."""
    call.require_subject(subject)
    known = await subject_in_log(call, subject, *ciclosporin.NEEDS)
    arm = require_randomized(known)
    if followed_now(call, subject, known.entry).arm(arm).treatment != ciclosporin.TREATMENT:
        raise OTHER_TREATMENT(arm=arm)
    return CiclosporinCourse.of(subject, known)
