"""Laboratory messages over MLLP, to a listener in a process of its own: the answers are those of HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.labs.er7 import parse
from services.labs.events import LabReportRecorded
from services.labs.mllp_framing import Blocks, framed
from shared.events import decode
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import Query, QueryItem
from shared.identity import Role
from tests.bench.ground import running
from tests.journeys.laboratory import send
from tests.journeys.subjects import screened
from tests.journeys.trial import As, Trial
from tests.labs.examples import OBX_LOCAL, OBX_PLT, oru

START_S = 60
IDLE_S = 3.0
LIMIT = 20_000

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextmanager
def listening(trial: Trial, token: str, folder: Path, host: str = "127.0.0.1") -> Iterator[subprocess.Popen[bytes]]:
    """A listener of a lab system's token; its port stands in the file `log` of the folder."""
    held = folder / "token"
    held.write_text(token)
    environment = {
        "MARROW_DATABASE_URL": trial.settings.database_url or "",
        "MARROW_HOME": str(trial.settings.home),
        "MARROW_MLLP_TOKEN_FILE": str(held),
        "MARROW_MLLP_IDLE_S": str(IDLE_S),
        "MARROW_BODY_BYTES_MAX": str(LIMIT),
    }
    command = [sys.executable, "-m", "services.cli", "mllp", "--host", host, "--port", "0"]
    with running(command, environment, folder / "log") as process:
        yield process


def port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(START_S * 20):
        for line in log.read_text().splitlines():
            if line.startswith("MLLP on "):
                return int(line.rpartition(":")[2])
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
async def listener(trial: Trial, site: str, tmp_path: Path) -> AsyncIterator[tuple[int, int]]:
    """The port and the process id of a listener for the site's LIS."""
    with listening(trial, trial.token(Role.LAB, [site], "LIS"), tmp_path) as process:
        yield await asyncio.to_thread(port_of, process, tmp_path / "log"), process.pid


async def answers(reader: asyncio.StreamReader, wanted: int) -> list[bytes]:
    """The next answers of a connection; fewer where it ends before."""
    blocks, got = Blocks(1_000_000), list[bytes]()
    while len(got) < wanted and (piece := await asyncio.wait_for(reader.read(65536), 30)):
        got += blocks.take(piece)
    return got


async def ask(port: int, *messages: str) -> list[bytes]:
    """Send messages at once on a connection of their own, and wait for as many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(framed(message.encode()) for message in messages))
    got = await answers(reader, len(messages))
    writer.close()
    return got


def code_and_id(answer: bytes) -> tuple[str, str]:
    msa = parse(answer.decode()).first("MSA")
    return msa[1].value, msa[2].value


async def test_a_message_gets_the_bytes_that_http_answers(
    speaking_as: As, site: str, listener: tuple[int, int]
) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    lis = speaking_as(Role.LAB, site, application="LIS")
    good, partly = oru(subject=subject), oru(OBX_PLT, OBX_LOCAL, subject=subject, control_id="43", filler="F2")
    batch = f"BHS|^~\\&|LIS|LAB\r{good}{partly}BTS|2\r"
    [first] = await ask(listener[0], good)
    assert first == (await send(lis, good)).content
    over_http = (await send(lis, partly)).content
    assert await ask(listener[0], partly) == [over_http]
    [answer] = await ask(listener[0], batch)
    assert first in answer
    assert over_http in answer


async def test_pipelined_messages_are_answered_in_order_also_byte_by_byte_and_between_garbage(
    speaking_as: As, site: str, listener: tuple[int, int]
) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    texts = [oru(subject=subject, control_id=str(number), filler=f"F{number}") for number in range(8)]
    wanted = [("AA", str(number)) for number in range(8)]
    assert [code_and_id(each) for each in await ask(listener[0], *texts)] == wanted
    reader, writer = await asyncio.open_connection("127.0.0.1", listener[0])
    for each in b"noise" + b"\r\n".join(framed(text.encode()) for text in texts[:2]):
        writer.write(bytes([each]))
        await writer.drain()
    assert [code_and_id(each) for each in await answers(reader, 2)] == wanted[:2]
    writer.close()


async def test_another_sending_application_is_rejected_and_nothing_of_it_recorded(
    trial: Trial, site: str, listener: tuple[int, int], speaking_as: As
) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    [answer] = await ask(listener[0], oru(subject=subject).replace("|LIS|", "|OTHER|"))
    assert code_and_id(answer) == ("AR", "42")
    assert parse(answer.decode()).first("ERR")[2].text == "MSH^1^3"
    assert await recorded_ids(trial, subject) == set()


async def test_a_message_that_is_too_long_is_refused_and_one_that_never_ends_is_given_up(
    site: str, listener: tuple[int, int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener[0])
    writer.write(b"\x0b" + oru(subject=f"{site}-001").encode() + b"x" * LIMIT)
    [answer] = await answers(reader, 2)
    assert code_and_id(answer) == ("AE", "42")
    assert parse(answer.decode()).first("ERR")[3][1].value == "104"
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener[0])
    writer.write(b"\x0bMSH|")
    assert await answers(reader, 1) == []
    writer.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_acknowledged_before_an_end_of_the_process_is_in_the_log(
    trial: Trial, speaking_as: As, site: str, listener: tuple[int, int], how: signal.Signals
) -> None:
    subject = await screened(speaking_as(Role.COORDINATOR, site), site)
    port, process = listener
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    texts = [oru(subject=subject, control_id=str(number), filler=f"F{number}") for number in range(300)]
    writer.write(b"".join(framed(text.encode()) for text in texts))
    first = await answers(reader, 5)
    os.kill(process, how)
    later = list[bytes]()
    try:
        later = await answers(reader, len(texts))
    except ConnectionError:
        assert how == signal.SIGKILL
    told = [code_and_id(each) for each in first + later]
    assert 5 <= len(told) < len(texts)
    assert {code for code, _ in told} == {"AA"}
    assert {number for _, number in told} <= await recorded_ids(trial, subject)
    writer.close()


async def recorded_ids(trial: Trial, subject: str) -> set[str]:
    query = Query((QueryItem((LabReportRecorded.name,), (f"subject:{subject}",)),))
    async with PostgresLog(trial.settings.database_url or "") as log:
        events = [decode(stored).event async for stored in log.stream(query)]
    return {event.message_id for event in events if isinstance(event, LabReportRecorded)}


@pytest.mark.parametrize(
    ("role", "application", "host", "why"),
    [
        (Role.COORDINATOR, "LIS", "127.0.0.1", "no token of a lab system"),
        (Role.LAB, None, "127.0.0.1", "no token of a lab system"),
        (Role.LAB, "LIS", "0.0.0.0", "MARROW_MLLP_CLIENT_CA_FILE"),
    ],
)
async def test_no_listener_starts_that_could_not_say_who_speaks_to_it(
    trial: Trial, site: str, tmp_path: Path, role: Role, application: str | None, host: str, why: str
) -> None:
    with listening(trial, trial.token(role, [site], application), tmp_path, host) as process:
        assert await asyncio.to_thread(process.wait, START_S) == 2
    assert why in " ".join((tmp_path / "log").read_text().replace("│", " ").split())
