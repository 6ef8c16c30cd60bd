"""Which branches of a campaign's templates are reached: by scenarios, by real customers, by nobody.

Contexts of real customers are only counted; nothing of them is kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from personalization_assets.emails.liquid_batch import Columns, Dictionaries
from personalization_assets.emails.preview.branches import Branch, Target, Traced
from personalization_assets.emails.preview.directed import Found


@dataclass
class RealMails:
    """How many mails of real customers reached each branch."""

    mails: int = 0
    counts: Counter[Branch] = field(default_factory=Counter)
    first: dict[Branch, str] = field(default_factory=dict)
    """The first customer that reached it."""

    seen: list[str] = field(default_factory=list)
    """The customers, in the order in which their mails were looked at."""

    def worth_a_look(self, found: Found, most: int) -> list[str]:
        """Customers who reach what no scenario reaches, and so many others."""
        odd = [self.first[b] for b in self.first if b not in found.by_branch]
        return list(dict.fromkeys([*sorted(odd), *self.seen[:most]]))

    def count(
        self, traced: Traced, batches: Iterable[pa.RecordBatch], constants: Mapping[str, Any]
    ) -> None:
        """Put contexts of one variant (`building.contexts_of`) through its templates."""
        dictionaries = Dictionaries()
        for batch in batches:
            columns = Columns(batch, dictionaries)
            for index in range(batch.num_rows):
                row = columns.row(index)
                reached = traced.run({**constants, **row})
                self.mails += 1
                self.seen.append(row["customer_id"])
                self.counts.update(reached)
                for branch in reached:
                    self.first.setdefault(branch, row["customer_id"])


@dataclass(frozen=True)
class Row:
    """A branch and who reaches it."""

    branch: Branch
    part: str
    scenarios: tuple[str, ...]
    """Keys, the first one first."""
    mails: int
    share: float | None
    """Of the mails of real customers; none where none were looked at."""

    @property
    def reached(self) -> bool:
        """Whether anybody reaches it."""
        return bool(self.scenarios or self.mails)


@dataclass(frozen=True)
class Coverage:
    """All branches of a campaign, by file and line, and the number of real mails looked at."""

    rows: tuple[Row, ...]
    mails: int

    @property
    def unreached(self) -> list[Row]:
        """Branches that no scenario and no real customer reached."""
        return [row for row in self.rows if not row.reached]


def coverage(variants: Sequence[Traced], found: Found, real: RealMails | None = None) -> Coverage:
    """The report over all variants; a branch of a file that variants share is one branch."""
    targets: dict[Branch, Target] = {}
    for traced in variants:
        for branch, target in traced.targets.items():
            targets.setdefault(branch, target)
    counts = real or RealMails()
    rows = [
        Row(
            branch,
            target.part,
            tuple(key for key, reached in found.reached.items() if branch in reached),
            counts.counts[branch],
            counts.counts[branch] / counts.mails if counts.mails else None,
        )
        for branch, target in targets.items()
    ]
    rows.sort(key=lambda row: (str(row.branch.file), row.branch.line, row.branch.column))
    return Coverage(tuple(rows), counts.mails)
