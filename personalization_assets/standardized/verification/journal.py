"""Answers and spending, written to the tables as they come: a killed run loses no paid answer.

Both tables are published whole at the end of a run like any other. Until then rows are added to
those that stand, one transaction a batch.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.standardized.contracts.verification import (
    EmailVerificationBatches,
    EmailVerifications,
)
from personalization_assets.standardized.verification.settings import VerificationSettings
from personalization_assets.standardized.verification.verdicts import Answer
from personalization_assets.warehouse import exists, transaction

ADDRESSES = contract_of(EmailVerifications)
BATCHES = contract_of(EmailVerificationBatches)


@dataclass(frozen=True)
class OpenBatch:
    """A batch without answers; `ticket` is the service's number, where it was received."""

    batch_id: str
    ticket: str | None


class Journal:
    """The two tables of one run on one connection."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, as_of: dt.datetime, settings: VerificationSettings
    ) -> None:
        self._con = con
        self._as_of = as_of
        self._settings = settings
        for contract in (ADDRESSES, BATCHES):
            _create(con, contract)

    def spent(self, provider: str) -> int:
        """Credits of this day that may have been charged."""
        return int(
            self._value(
                f"SELECT coalesce(sum(credits), 0) FROM {BATCHES.name}"
                " WHERE provider = $provider AND asked_on = $day",
                provider=provider,
                day=self._as_of.date(),
            )
        )

    def open_batches(self, provider: str) -> list[OpenBatch]:
        """Batches of earlier runs that wait for answers, the oldest first."""
        rows = self._con.execute(
            f"SELECT batch_id, ticket FROM {BATCHES.name}"
            " WHERE provider = ? AND status = 'asked' ORDER BY batch_id",
            [provider],
        ).fetchall()
        return [OpenBatch(*row) for row in rows]

    def begin(self, provider: str, addresses: int) -> str:
        """Note a batch before it is asked, as if it were charged; gives its id."""
        # One provider's batches of a second are numbered; ids must differ between warehouses too.
        start = f"{self._as_of:%Y%m%dT%H%M%S}"
        number = self._value(
            f"SELECT count(*) FROM {BATCHES.name} WHERE starts_with(batch_id, $start)", start=start
        )
        batch_id = f"{start}-{int(number) + 1:04d}"
        row = {
            "batch_id": batch_id,
            "provider": provider,
            "status": "asked",
            "addresses": addresses,
            "credits": addresses,
            "answers": 0,
            "asked_on": self._as_of.date(),
            "asked_as_of": self._as_of,
        }
        self._add(BATCHES, pl.DataFrame([row]))
        return batch_id

    def note_ticket(self, batch_id: str, ticket: str) -> None:
        """Keep the service's number of a batch."""
        self._change(batch_id, "ticket = $value", ticket)

    def note_charge(self, batch_id: str) -> None:
        """The batch is sent once more and may be charged once more."""
        self._change(batch_id, "credits = credits + $value * addresses", 1)

    def fail(self, batch_id: str, reason: str, *, charged: bool) -> None:
        """The batch will get no answers."""
        kept = "credits" if charged else "0"
        change = f"status = 'failed', reason = $value, credits = {kept}"
        self._change(batch_id, change, reason)

    def store(self, batch_id: str, provider: str, answers: Sequence[Answer]) -> None:
        """Keep the answers to a batch; they replace what was known of the addresses."""
        days = {
            verdict: getattr(self._settings, f"{verdict}_days")
            for verdict in ("deliverable", "undeliverable", "risky", "unknown")
        }
        rows = [
            {
                "email": a.email,
                "verdict": a.verdict,
                "reason": a.reason,
                "provider": provider,
                "checked_as_of": self._as_of,
                "expires_at": self._as_of + dt.timedelta(days=days[a.verdict]),
            }
            for a in {answer.email: answer for answer in answers}.values()
        ]
        with transaction(self._con):
            if rows:
                frame = pl.DataFrame(rows)
                self._con.register("answers", frame.to_arrow())
                try:
                    self._con.execute(
                        f"DELETE FROM {ADDRESSES.name} WHERE email IN (SELECT email FROM answers)"
                    ).fetchall()
                finally:
                    self._con.unregister("answers")
                self._add(ADDRESSES, frame)
            self._change(batch_id, "status = 'answered', answers = $value", len(rows))

    def _add(self, contract: Contract, frame: pl.DataFrame) -> None:
        self._con.register("added", frame.to_arrow())
        try:
            self._con.execute(f"INSERT INTO {contract.name} BY NAME SELECT * FROM added").fetchall()
        finally:
            self._con.unregister("added")

    def _change(self, batch_id: str, change: str, value: str | int) -> None:
        self._con.execute(
            f"UPDATE {BATCHES.name} SET {change} WHERE batch_id = $batch_id",
            {"value": value, "batch_id": batch_id},
        ).fetchall()

    def _value(self, sql: str, **parameters: object) -> int:
        return int(self._con.execute(sql, parameters).fetchall()[0][0])


def _create(con: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    if not exists(con, contract.name):
        columns = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in contract.columns)
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.room}").fetchall()
        con.execute(f"CREATE TABLE {contract.name} ({columns})").fetchall()
