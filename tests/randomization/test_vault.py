"""The secret of a scheme on a real PostgreSQL: opened once by who allocates, told by no text, gone with its store."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from services.randomization import vault
from services.randomization.events import RandomizationSchemeSealed
from services.randomization.scheme import Secret
from services.randomization.vault import make_secret, open_secret, secret_in_use
from shared.eventstore.connection import connection_info
from shared.keystore import PostgresKeyStore
from shared.sealing import KeyDestroyedError, KeyEncryptionKey
from tests.randomization.examples import SECRET, sealed

KEY = KeyEncryptionKey(bytes(range(32)))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(connection_info(database_url)) as pool:
        yield pool


async def scheme_named(keys: PostgresKeyStore, name: str) -> tuple[RandomizationSchemeSealed, Secret]:
    """A sealed scheme, and its secret as it was made."""
    secret, text = await make_secret(keys, name, SECRET.nonce, (4, 6))
    return sealed().model_copy(update={"id": name, "sealed": text}), secret


async def test_the_secret_in_use_is_the_one_that_was_made(pool: AsyncConnectionPool) -> None:
    keys = PostgresKeyStore(pool, KEY)
    scheme, secret = await scheme_named(keys, "first")
    assert await secret_in_use(keys, scheme) == await open_secret(keys, scheme) == secret


async def test_it_is_opened_once_by_a_process_and_by_each_for_itself(pool: AsyncConnectionPool) -> None:
    keys, others = PostgresKeyStore(pool, KEY), PostgresKeyStore(pool, KEY)
    scheme, secret = await scheme_named(keys, "first")
    await secret_in_use(keys, scheme)
    # Given its keys are gone from the database
    for kind in ("seed", "parameters"):
        assert await keys.destroy(f"randomization-{kind}:first")
    # Then who has opened it still allocates, and nobody else can
    assert await secret_in_use(keys, scheme) == secret
    with pytest.raises(KeyDestroyedError):
        await secret_in_use(others, scheme)
    with pytest.raises(KeyDestroyedError):
        await open_secret(keys, scheme)


async def test_a_later_scheme_takes_the_place_of_the_one_before(pool: AsyncConnectionPool) -> None:
    keys = PostgresKeyStore(pool, KEY)
    (first, one), (second, other) = [await scheme_named(keys, name) for name in ("first", "second")]
    assert one.seed != other.seed
    assert [await secret_in_use(keys, scheme) for scheme in (first, second, first)] == [one, other, one]
    assert vault._IN_USE[keys] == ("first", one)


async def test_no_secret_outlives_its_key_store(pool: AsyncConnectionPool) -> None:
    keys = PostgresKeyStore(pool, KEY)
    await secret_in_use(keys, (await scheme_named(keys, "first"))[0])
    before = len(vault._IN_USE)
    del keys
    gc.collect()
    assert len(vault._IN_USE) < before


def test_no_text_of_a_secret_tells_any_of_it() -> None:
    assert {str(SECRET), repr(SECRET), f"{SECRET}"} == {"Secret()"}
