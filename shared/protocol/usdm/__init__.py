"""The schedule of activities as other systems write it: CDISC/TransCelerate USDM 4.0 (Unified Study Definitions Model).

`model` has the standard's classes, as far as a schedule needs them; `export` writes a protocol's schedule in them, and
`importing` reads one back, refusing what the protocol document cannot say.
"""

from shared.protocol.usdm.draft import as_toml
from shared.protocol.usdm.export import study_definition
from shared.protocol.usdm.importing import ImportedSchedule, UsdmImportError, import_schedule

__all__ = ["ImportedSchedule", "UsdmImportError", "as_toml", "import_schedule", "study_definition"]
