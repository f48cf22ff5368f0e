"""How a message as it came is sealed for the log, under the key of its subject or of the site, and opened again."""

from __future__ import annotations

from services.labs.commands import RecordLabReport
from services.labs.domain import ERASED
from services.labs.events import LabMessageQuarantined, Sealed
from services.labs.recognition import seal_place
from services.randomization.events import SubjectScreened
from shared.eventstore.model import Query, QueryItem
from shared.runtime import Runtime
from shared.sealing import SealingError, open_sealed, seal


async def seal_message(runtime: Runtime, command: RecordLabReport, text: str) -> Sealed:
    """The message under the key of its subject where that is known, else of the site."""
    holder = f"site:{command.site}"
    if command.subject is not None:
        subject = f"subject:{command.subject}"
        screened = await runtime.log.read(Query((QueryItem((SubjectScreened.name,), (subject,)),)), limit=1)
        holder = subject if screened.events else holder
    data_key = await runtime.key_store.get_or_create(holder)
    place = seal_place(command.message_key, command.digest)
    return Sealed(holder=holder, text=seal(text.encode(), data_key, place))


async def open_message(runtime: Runtime, message: LabMessageQuarantined) -> str:
    """The text of a quarantined message. Raises ERASED where its key is gone."""
    place = seal_place(message.message_key, message.digest)
    try:
        data_key = await runtime.key_store.get(message.sealed.holder)
        return open_sealed(message.sealed.text, data_key, place).decode()
    except SealingError as error:
        raise ERASED() from error
