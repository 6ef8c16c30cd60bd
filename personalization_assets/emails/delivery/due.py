"""Which mails are due: those of the latest run, and those that earlier runs left to send.

A mail waits for the mail server until it expires, also when the next run has come meanwhile: the
audience counts it as sent. Before it goes, it is held against what is known now: suppressions, the
shop's own list, and consent.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_assets.emails.delivery.journal import Journal
from personalization_assets.emails.delivery.streaming import CHUNK_ROWS, streaming
from personalization_assets.emails.storage import (
    STAMP,
    MailStore,
    select_mails,
    stamp_of,
    write_parquet,
)
from personalization_assets.emails.suppression_list import suppression_of
from personalization_assets.errors import UserError
from personalization_assets.warehouse import exists

LATEST_SQL = """
    SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email, b.content_hash,
           a.send_at, b.as_of, a.mailing_list, true AS list_known, true AS latest
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    WHERE b.status = 'rendered' AND a.decision = 'send'
"""
EARLIER_SQL = """
    SELECT d.send_id, d.campaign, d.customer_id, d.variant, d.kind, d.to_email, d.content_hash,
           d.send_at, d.handed_over_as_of AS as_of, l.mailing_list,
           l.campaign IS NOT NULL AS list_known, false AS latest
    FROM emails.deliveries d
    LEFT JOIN (SELECT campaign, any_value(mailing_list) AS mailing_list
               FROM emails.audience GROUP BY 1) l USING (campaign)
    WHERE d.channel = 'smtp' AND d.status IN ('handed_over', 'deferred')
      AND d.send_id NOT IN (SELECT send_id FROM emails.batches)
"""
# What another tool was given is not sent a second time; nor what a lost journal knew.
HANDED_OVER_SQL = """
    INSERT INTO finished_mails SELECT send_id FROM emails.deliveries
    WHERE channel <> 'smtp' OR status NOT IN ('handed_over', 'deferred')
"""
DECIDE_SQL = """
    CREATE OR REPLACE TEMP TABLE due_mails AS
    SELECT m.* EXCLUDE (mailing_list, list_known), coalesce(send_at, as_of) AS due_at,
        CASE
            WHEN {suppression} IS NOT NULL
                 OR lower(trim(to_email)) IN (SELECT email FROM listed_now) THEN 'suppressed'
            WHEN {no_consent} THEN 'without consent'
            WHEN coalesce(send_at, as_of) < $expired THEN 'expired'
            -- A run of such a day may have sent it; the journal would not know any more.
            WHEN as_of < $forgotten THEN 'older than the journal'
            ELSE 'send'
        END AS decision
    FROM ({mails}) m LEFT JOIN emails.suppressions s ON s.email = lower(trim(m.to_email))
    WHERE ($campaign IS NULL OR campaign = $campaign)
      AND ($all OR coalesce(send_at, as_of) <= $now)
      AND send_id NOT IN (SELECT send_id FROM finished_mails)
"""
NO_CONSENT = """
    kind = 'promotional' AND customer_id NOT IN (
        SELECT customer_id FROM profiles.golden_profiles WHERE consent_email_marketing)
"""
BODIES_SQL = """
    SELECT d.* EXCLUDE (latest, due_at, decision),
           b.from_email, b.subject, b.html, b.text, b.headers
    FROM ({mails}) b JOIN due_mails d USING (send_id, content_hash)
    WHERE d.decision = 'send' AND {which} AND b.html IS NOT NULL
"""
FORGET_SQL = """
    DELETE FROM due_mails WHERE decision = 'send' AND send_id IN (
        SELECT send_id FROM read_parquet(?))
"""
# Of a campaign that is gone nobody knows the list: whoever left any list gets nothing of it.
LIST = "CASE WHEN list_known THEN mailing_list ELSE s.lists[1] END"
SPOOL = ".sending-{number}.parquet"


@dataclass(frozen=True)
class Spool:
    """Mails to send, copied into files so that a run may have the warehouse while they go out."""

    files: tuple[Path, ...]
    mails: int
    held: Counter[str]
    """Mails that are due and not sent, by reason."""

    def remove(self) -> None:
        """Remove the files; they hold whole mails."""
        for file in self.files:
            file.unlink(missing_ok=True)


def decide_due(
    con: duckdb.DuckDBPyConnection,
    journal: Journal,
    now: datetime,
    expire_hours: int,
    *,
    campaign: str | None = None,
    listed: Sequence[str] = (),
    not_yet: bool = False,
) -> None:
    """Make the temporary table due_mails: one row per mail that is due and not finished, with a
    `decision`, `send` or why not. `listed` are addresses that the shop's own list names now;
    `not_yet` adds mails whose time has not come."""
    con.register("journal_now", journal.reader(("send_id",), "status <> 'deferred'"))
    con.execute("CREATE OR REPLACE TEMP TABLE finished_mails AS SELECT send_id FROM journal_now")
    con.unregister("journal_now")
    mails = LATEST_SQL
    if exists(con, "emails.deliveries"):
        con.execute(HANDED_OVER_SQL)
        mails += " UNION ALL BY NAME " + EARLIER_SQL
    con.register("listed_now", pa.table({"email": pa.array(listed, pa.string())}))
    consents = exists(con, "profiles.golden_profiles")
    con.execute(
        DECIDE_SQL.format(
            mails=mails,
            suppression=suppression_of("kind", LIST),
            no_consent=NO_CONSENT if consents else "false",
        ),
        {
            "now": now,
            "campaign": campaign,
            "expired": now - timedelta(hours=expire_hours),
            "forgotten": journal.forgotten_before(),
            "all": not_yet,
        },
    )
    con.unregister("listed_now")


def spool_due(
    con: duckdb.DuckDBPyConnection,
    journal: Journal,
    now: datetime,
    expire_hours: int,
    campaign: str | None = None,
    limit: int | None = None,
    listed: Sequence[str] = (),
) -> Spool:
    """Copy the mails that are due and not sent into files beside the journal, those of the latest
    run first.

    Raises:
        UserError: there is no such campaign, or the journal has forgotten that time.
    """
    forgotten = journal.forgotten_before()
    if forgotten is not None and now < forgotten:
        raise UserError(
            f"Mails of before {forgotten:%Y-%m-%d} are not sent any more: what went out then has "
            f"been taken from the journal (emails.delivery.keep_journal_days), so people might get "
            f"a mail twice; choose a later --as-of."
        )
    if campaign is not None:
        _know(con, campaign)
    decide_due(con, journal, now, expire_hours, campaign=campaign, listed=listed)
    held = Counter(
        dict(
            con.execute(
                "SELECT decision, count(*) FROM due_mails WHERE decision <> 'send' GROUP BY 1"
            ).fetchall()
        )
    )
    if limit is not None:
        con.execute(
            "DELETE FROM due_mails WHERE decision = 'send' AND send_id NOT IN (SELECT send_id FROM"
            " due_mails WHERE decision = 'send' ORDER BY due_at, send_id LIMIT ?)",
            [limit],
        )
    for old in journal.folder.glob(SPOOL.format(number="*")):
        old.unlink()
    files: list[Path] = []
    count = 0
    for which, mails in _bodies(con, MailStore(journal.folder)):
        if not con.execute("SELECT 1 FROM due_mails WHERE decision = 'send' LIMIT 1").fetchall():
            break
        path = journal.folder / SPOOL.format(number=len(files))
        files.append(path)
        with streaming(con):
            found = con.sql(BODIES_SQL.format(mails=mails, which=which))
            reader = found.to_arrow_reader(CHUNK_ROWS)
            count += write_parquet(path, reader, reader.schema)
        path.chmod(0o600)
        con.execute(FORGET_SQL, [str(path)])
    lost = con.execute("SELECT count(*) FROM due_mails WHERE decision = 'send'").fetchall()[0][0]
    if lost:
        held["without a body"] = lost
    return Spool(tuple(files), count, held)


def count_unsent(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int]]:
    """Mails of due_mails per campaign and what keeps them: `waiting`, or why they are not sent."""
    return con.execute(
        "SELECT campaign, replace(decision, 'send', 'waiting'), count(*) FROM due_mails"
        " GROUP BY 1, 2"
    ).fetchall()


def _bodies(con: duckdb.DuckDBPyConnection, store: MailStore) -> Iterator[tuple[str, str]]:
    """Where whole mails are, each place with a condition on due_mails: the latest run's table, then
    the folders of earlier runs."""
    yield "d.latest", "SELECT * FROM emails.batches"
    stamps = con.execute(
        f"SELECT DISTINCT strftime(as_of, '{STAMP}') FROM due_mails WHERE NOT latest"
    ).fetchall()
    wanted = {stamp for (stamp,) in stamps}
    for run in reversed(store.runs()):
        parts = sorted(run.glob("*.parquet"))
        if parts and stamp_of(run) in wanted:
            yield "NOT d.latest", select_mails(parts)


def _know(con: duckdb.DuckDBPyConnection, campaign: str) -> None:
    names = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT campaign FROM emails.audience ORDER BY 1"
        ).fetchall()
    ]
    if campaign not in names:
        raise UserError(
            f"The latest run has no campaign {campaign}: it has {', '.join(names) or 'none'}."
        )
