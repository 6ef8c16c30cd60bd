"""Rows that a person lets into a table although they broke rules of its contract."""

from dataclasses import dataclass, fields

import polars as pl

from personalization_assets.contracts import Audit, Contract
from personalization_assets.standardized.entities import UNREADABLE

RELEASED = "_released"
"""Working column of an audited frame: rules that a person has set aside for the row."""

FLAG = "released"
"""What an admitted row has in `_flags`."""

UNIQUE_KEY = "key.unique"


def refusal(contract: Contract, rule: str) -> str | None:
    """Why nobody can set this rule aside; None where a person may.

    Only rules about values can: a table promises its key and its mandatory columns to everything
    that reads it.
    """
    if rule == UNREADABLE:
        return "the line is no row, so there is nothing to admit"
    if rule == UNIQUE_KEY:
        return "its key is in the table already"
    if rule not in {r.name for r in contract.rules}:
        return "its contract no longer has that rule, so a replay judges it anew"
    column, _, kind = rule.rpartition(".")
    if kind == "required" and column in contract.schema:
        return f"it has no {column}, and no row of the table may lack one"
    mandatory = {c.name for c in contract.columns if not c.nullable} | set(contract.key)
    if kind in ("type", "unknown") and column in mandatory:
        return f"its {column} could not be read, and no row of the table may lack one"
    return None


@dataclass(frozen=True)
class Releasing(Contract):
    """A contract that obeys releases: a row all of whose broken rules were set aside is accepted.

    Without the column `_released` it judges like the contract that it was made of.
    """

    def audit(self, frame: pl.DataFrame) -> Audit:
        """See `Contract.audit`."""
        found = super().audit(frame)
        if RELEASED not in frame.columns:
            return found
        rejected = found.rejected
        may = [r.name for r in self.rules if refusal(self, r.name) is None]
        released = pl.col(RELEASED).list.set_intersection(pl.lit(may, dtype=pl.List(pl.String)))
        left = pl.col("reasons").list.set_difference(released).list.len()
        mask = rejected.select(left.eq(0).fill_null(value=False).alias("m"))["m"]
        if not mask.any():
            return found
        admitted = rejected.filter(mask)
        counts = admitted.select(pl.col("reasons").explode().value_counts()).unnest("reasons")
        less = dict(counts.iter_rows())
        flagged = admitted.with_columns(
            pl.concat_list("_flags", pl.lit([FLAG], dtype=pl.List(pl.String)))
            .list.unique(maintain_order=True)
            .alias("_flags")
        )
        return Audit(
            pl.concat([found.accepted, self.conform(flagged)]),
            rejected.filter(~mask),
            {rule: n - less.get(rule, 0) for rule, n in found.failures.items()},
        )


def releasing(contract: Contract) -> Releasing:
    """The same contract, obeying releases."""
    return Releasing(**{f.name: getattr(contract, f.name) for f in fields(contract)})
