"""Decides where data keys lie: wrapped, in a table of their own beside the log, from which a row can be deleted."""

from __future__ import annotations

from pathlib import Path

from psycopg_pool import AsyncConnectionPool

from shared.migrations import Component
from shared.sealing import KeyDestroyedError, KeyEncryptionKey, new_data_key

CREATE_ATTEMPTS_MAX = 3

KEYSTORE = Component("keys", Path(__file__).parent / "migrations", metadata=None, schema="keys")


class PostgresKeyStore:
    """The `KeyStore` over the table `keys.data_key`. Keys are never cached: a destroyed one is gone in all processes.

    Backups of this table must not outlive the time within which an erasure is owed.
    """

    def __init__(self, pool: AsyncConnectionPool, key_encryption_key: KeyEncryptionKey) -> None:
        self._pool = pool
        self._key_encryption_key = key_encryption_key

    async def get(self, holder: str) -> bytes:
        """The holder's data key. Raises KeyDestroyedError when there is none, BrokenSealError when it was altered."""
        data_key = await self._find(holder)
        if data_key is None:
            raise KeyDestroyedError(f"there is no data key of {holder}: what it sealed is erased")
        return data_key

    async def get_or_create(self, holder: str) -> bytes:
        """The holder's data key, made when there is none; of several callers at once the first one's key counts."""
        for _ in range(CREATE_ATTEMPTS_MAX):
            if data_key := await self._find(holder):
                return data_key
            wrapped = self._key_encryption_key.wrap(new_data_key(), holder)
            async with self._pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO keys.data_key (holder, wrapped) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    (holder, wrapped),
                )
        # Only when somebody destroys the key each time that it has just been made.
        return await self.get(holder)

    async def destroy(self, holder: str) -> bool:
        """Erase the holder's data key for ever; whether there was one."""
        async with self._pool.connection() as connection:
            deleted = await connection.execute("DELETE FROM keys.data_key WHERE holder = %s", (holder,))
            return deleted.rowcount > 0

    async def _find(self, holder: str) -> bytes | None:
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT wrapped FROM keys.data_key WHERE holder = %s", (holder,))
            row = await found.fetchone()
        return self._key_encryption_key.unwrap(bytes(row[0]), holder) if row else None
