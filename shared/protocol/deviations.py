"""How grave a departure from the protocol is: the protocol's own list of what is important (ICH E3 Q&A R1, Q7)."""

from __future__ import annotations

from typing import Literal

from shared.protocol.criteria import Part
from shared.protocol.language import Code

DeviationGrade = Literal["minor", "important"]
"""Important: it may bear on the completeness, accuracy or reliability of data, or on a subject's rights or safety."""


class Deviations(Part):
    """Which deviations are important; any other has the grade `otherwise`."""

    important: tuple[Code, ...]
    otherwise: DeviationGrade

    def grade(self, code: str) -> DeviationGrade:
        """The grade of a deviation of that code, before anybody has judged the single one."""
        return "important" if code in self.important else self.otherwise
