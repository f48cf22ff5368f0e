"""The flow of participants over HTTP, as numbers or as a chart (CONSORT 2025, item 22)."""

from __future__ import annotations

from fastapi import Request, Response

from services.randomization import flow_chart
from services.randomization.answers import Flow
from services.randomization.flow import consort_flow
from services.randomization.projections import PROJECTION
from services.randomization.questions import errors_at, subjects_at
from shared.call import Reader
from shared.negotiation import require_preferred
from shared.problems import NOT_ACCEPTABLE, problem_responses
from shared.service import service_router

router = service_router("randomization")


@router.get(
    "/flow",
    name="getConsortFlow",
    response_model=Flow,
    responses={
        200: {"content": {flow_chart.MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **problem_responses(NOT_ACCEPTABLE),
    },
)
async def get_consort_flow(request: Request, call: Reader) -> Flow | Response:
    """The flow of participants (CONSORT 2025, item 22) over the caller's sites, as JSON or as a chart."""
    media = require_preferred(request, "application/json", flow_chart.MEDIA_TYPE)
    async with call.read(PROJECTION) as session:
        subjects = await subjects_at(session, call.actor.sites)
        errors = await errors_at(session, call.actor.sites)
    protocols = call.runtime.protocols
    flow = consort_flow(subjects, protocols.arm_codes, errors, protocols.latest.untreated_arms)
    call.response.headers["Vary"] = "Accept"
    if media != flow_chart.MEDIA_TYPE:
        return flow
    return Response(flow_chart.draw(flow), media_type=media, headers=dict(call.response.headers))
