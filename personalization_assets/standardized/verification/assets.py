"""Wiring: the verdict on every address, and what was asked for it."""

from collections.abc import Mapping

import pandera.polars as pa
import polars as pl

from personalization_assets.mailboxes import load_mailboxes
from personalization_assets.standardized.contracts.verification import (
    EmailVerificationBatches,
    EmailVerifications,
)
from personalization_assets.standardized.verification.journal import BATCHES, Journal
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Rows

READS = (
    "crm_contacts",
    "loyalty_members",
    "orders",
    "preferences",
    "social_activity",
    "email_events",
)


def verify_addresses(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """History and lists, then the service for those who are written to next."""
    from personalization_assets.standardized.verification.addresses import (
        due_addresses,
        judge_addresses,
    )
    from personalization_assets.standardized.verification.asking import ask, verifier_of

    settings = run.settings.standardized.verification
    mailboxes = load_mailboxes(run.settings.data_dir)
    journal = Journal(run.con, run.as_of, settings)

    def wanted() -> pl.Series:
        return due_addresses(run.con, run.as_of, settings.delivered_days, mailboxes)["email"]

    verifier, why_not = verifier_of(settings)
    asked = answered = 0
    if verifier:
        outcome = ask(verifier, journal, wanted, settings.daily_budget, run.progress)
        asked, answered, why_not = outcome.asked, outcome.answered, outcome.stopped
    rows = judge_addresses(run.con, run.as_of, settings.delivered_days, mailboxes)
    waiting = rows.height - rows["ask_priority"].null_count()
    if waiting:
        run.progress(f"verification: {waiting:,} addresses were not asked about: {why_not}")
    counts = {f"addresses_{name}": n for name, n in rows["verdict"].value_counts().iter_rows()}
    run.metadata(addresses_asked=asked, addresses_answered=answered, addresses_waiting=waiting)
    run.metadata(**counts, **({"not_asked_because": why_not} if why_not else {}))
    batches: pl.DataFrame = run.con.sql(f"SELECT * FROM {BATCHES.name} ORDER BY batch_id").pl()
    return {
        EmailVerifications: rows.drop("ask_priority"),
        EmailVerificationBatches: batches,
    }


email_verifications = table_asset(
    contract=[EmailVerifications, EmailVerificationBatches],
    deps=[f"standardized/{table}" for table in READS],
    kinds={"python", "polars"},
)(verify_addresses)

ASSETS = [email_verifications]
