"""The table of data keys on a real PostgreSQL: one key a holder, the same for all, and gone for ever once destroyed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from shared.eventstore.connection import connection_info
from shared.keystore import PostgresKeyStore
from shared.sealing import (
    BrokenSealError,
    KeyDestroyedError,
    KeyEncryptionKey,
    KeyStore,
    new_data_key,
    open_sealed,
    seal,
)

HOLDER = "subject:01-001"
SECRET = bytes(range(32))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool]:
    """Connections as the application has them: with its rights and no more."""
    async with AsyncConnectionPool(connection_info(database_url), min_size=8, max_size=8) as pool:
        yield pool


@pytest.fixture
async def store(pool: AsyncConnectionPool) -> PostgresKeyStore:
    return PostgresKeyStore(pool, KeyEncryptionKey(SECRET))


async def test_it_is_a_key_store(store: PostgresKeyStore) -> None:
    as_protocol: KeyStore = store
    assert await as_protocol.destroy(HOLDER) is False


async def test_a_holder_keeps_its_key(store: PostgresKeyStore) -> None:
    first = await store.get_or_create(HOLDER)
    assert len(first) == 32
    assert await store.get_or_create(HOLDER) == await store.get(HOLDER) == first


async def test_each_holder_has_a_key_of_its_own(store: PostgresKeyStore) -> None:
    assert await store.get_or_create(HOLDER) != await store.get_or_create("subject:01-002")


async def test_all_who_ask_at_once_get_the_same_key(store: PostgresKeyStore) -> None:
    keys = await asyncio.gather(*(store.get_or_create(HOLDER) for _ in range(32)))
    assert len(set(keys)) == 1
    assert await store.get(HOLDER) == keys[0]


async def test_the_key_lies_in_the_table_only_wrapped(store: PostgresKeyStore, pool: AsyncConnectionPool) -> None:
    data_key = await store.get_or_create(HOLDER)
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT holder, wrapped FROM keys.data_key")).fetchone()
    assert row is not None
    assert data_key not in bytes(row[1])
    assert KeyEncryptionKey(SECRET).unwrap(bytes(row[1]), HOLDER) == data_key


async def test_what_a_destroyed_key_sealed_is_erased(store: PostgresKeyStore) -> None:
    sealed = seal(b"Ana Souza", await store.get_or_create(HOLDER), b"place")
    assert await store.destroy(HOLDER) is True
    with pytest.raises(KeyDestroyedError, match=HOLDER):
        await store.get(HOLDER)
    with pytest.raises(BrokenSealError):
        open_sealed(sealed, await store.get_or_create(HOLDER), b"place")


async def test_destroying_twice_succeeds(store: PostgresKeyStore) -> None:
    await store.get_or_create(HOLDER)
    assert [await store.destroy(HOLDER), await store.destroy(HOLDER)] == [True, False]


async def test_a_row_that_was_exchanged_is_found(store: PostgresKeyStore, pool: AsyncConnectionPool) -> None:
    await store.get_or_create(HOLDER)
    other = KeyEncryptionKey(SECRET).wrap(new_data_key(), "subject:01-002")
    async with pool.connection() as connection:
        await connection.execute("UPDATE keys.data_key SET wrapped = %s WHERE holder = %s", (other, HOLDER))
    with pytest.raises(BrokenSealError):
        await store.get(HOLDER)
