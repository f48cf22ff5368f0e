"""A process that writes to the log beside others; each line that it prints tells of something that it was told.

python -m tests.faults.rival boundary URL NAME    200 attempts to win the next round of one boundary
python -m tests.faults.rival load URL NAME        appends without end, 32 at a time
"""

from __future__ import annotations

import asyncio
import sys

from shared.eventstore.log import PostgresLog
from shared.eventstore.model import AppendCondition, AppendConflict
from tests.shared.eventstore.events_to_append import about, event, nothing_about

ATTEMPTS = 200
CALLERS = 32


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def compete(url: str, name: str) -> None:
    """Append the round after the last one that was read, under the condition that nobody else did."""
    async with PostgresLog(url) as log:
        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        head = rounds = 0
        for _ in range(ATTEMPTS):
            read = await log.read(about("boundary:1"), after=head)
            head, rounds = read.head, rounds + len(read.events)
            new = event("won", "boundary:1", round=rounds + 1, winner=name)
            try:
                (stored,) = await log.append([new], AppendCondition(about("boundary:1"), head))
            except AppendConflict:
                tell("lost")
            else:
                tell("won", stored.position)


async def load(url: str, name: str) -> None:
    """Append events with a key each, and tell the position of each that was acknowledged."""
    async with PostgresLog(url) as log:

        async def caller(number: int) -> None:
            turn = 0
            while True:
                turn += 1
                key = f"key:{name}-{number}-{turn}"
                (stored,) = await log.append([event("loaded", key)], nothing_about(key))
                tell(stored.position, key)

        await asyncio.gather(*(caller(number) for number in range(CALLERS)))


if __name__ == "__main__":
    what, database_url, own_name = sys.argv[1:]
    asyncio.run({"boundary": compete, "load": load}[what](database_url, own_name))
