"""What answers of several services have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from shared.protocol.language import SubjectId


class Written(BaseModel):
    """What was recorded about a subject, and where."""

    subject: SubjectId
    position: Annotated[
        int, Field(description="The log position of what was recorded, or the head where nothing was new.")
    ]
