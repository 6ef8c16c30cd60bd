"""The event log of the local instance: Dagster's own tables and queries on lasting connections.

Dagster's SQLite storages open a new engine and a new connection for each statement, which costs a
run several times what the statements themselves cost: nothing compiled is ever used twice, and each
close is a checkpoint. Here one engine with a pool serves the process. What is stored, and how it is
read, is unchanged: `dagster.yaml` can name `ConsolidatedSqliteEventLogStorage` again at any time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, create_engine, event


class PooledSqliteEventLogStorage(ConsolidatedSqliteEventLogStorage):
    """`event_log.db` in `base_dir`, the events of all runs in one file."""

    @cached_property
    def _engine(self) -> Engine:
        engine = create_engine(
            self._conn_string,
            # the web server's threads are many and short: none of them waits for a connection
            max_overflow=-1,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        event.listen(engine, "connect", _flush_at_checkpoints)
        return engine

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Stop watching and close the file."""
        super().dispose()  # type: ignore[no-untyped-call]
        self._engine.dispose()


def _flush_at_checkpoints(connection: sqlite3.Connection, _: object) -> None:
    # The file is in WAL mode, where this cannot damage it; a power cut may lose the last events.
    connection.execute("PRAGMA synchronous=NORMAL")
