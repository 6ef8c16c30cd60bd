"""What the journal of sent mails may forget, so that it does not grow for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import duckdb

from personalization_assets.emails.delivery.journal import ROWS, reading_journal
from personalization_assets.warehouse import exists

# An address that was refused for good gets nothing more, which only the journal knows; there is a
# row or two of each. What is not in emails.deliveries as it is here is not lost before it is.
FORGETTABLE_SQL = """
    SELECT j.send_id FROM old_mails j JOIN emails.deliveries d USING (send_id)
    WHERE d.channel = 'smtp' AND d.attempts = j.attempts
      AND (d.status = j.status OR (j.status = 'deferred' AND d.status = 'expired'))
"""


def midnight_before(as_of: datetime, days: int) -> datetime:
    """The midnight that is so many days before a run. A run whose time has not come yet counts as
    one of now, or the mails of today would be too old to be sent."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return datetime.combine(min(as_of, now) - timedelta(days=days), time())


def prune_journal(con: duckdb.DuckDBPyConnection, folder: Path, before: datetime) -> int | None:
    """Take mails of runs before a midnight out of the journal in a folder, those that
    emails.deliveries keeps as they are there; whatever is killed, all or none of them.

    Returns how many went, or none where a process is sending: then nothing is done.
    """
    with reading_journal(folder) as journal:
        if journal is None or not exists(con, "emails.deliveries"):
            return 0
        with journal.alone_or_not() as alone:
            if not alone:
                return None
            where = (
                f"as_of < '{before.isoformat()}' AND NOT (status = 'refused' AND about_recipient)"
            )
            con.register("old_rows", journal.reader(("send_id", "status", "attempts"), where))
            con.execute("CREATE OR REPLACE TEMP TABLE old_mails AS FROM old_rows")
            con.unregister("old_rows")
            found = con.execute(FORGETTABLE_SQL)
            return journal.forget(_ids(found), before)


def _ids(found: duckdb.DuckDBPyConnection) -> Iterator[str]:
    while rows := found.fetchmany(ROWS):
        for (send_id,) in rows:
            yield send_id
