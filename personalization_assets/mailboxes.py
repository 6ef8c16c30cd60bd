"""Mailboxes that are no person's: names of tasks (info@), and domains of throw-away addresses.

Two lists that two rooms read: `standardized` flags such addresses, `emails` does not advertise to
tasks. Both lists are packaged and can be changed by a file in the data folder:

- `role_accounts.csv`: a column `name` (before the @), and `role` that says no to take a name out;
- `disposable_domains.csv`: a column `domain`, and `disposable` that says no to take one out.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from personalization_assets.errors import UserError

ROLE_ACCOUNTS = Path(__file__).with_name("role_accounts.csv")
"""Names of RFC 2142 and what shops use in a few languages."""

YES, NO = ("yes", "true", "1", ""), ("no", "false", "0")


@dataclass(frozen=True)
class Mailboxes:
    """Names before the @ that belong to a task, and domains of throw-away addresses."""

    roles: frozenset[str]
    disposable: frozenset[str]


@cache
def packaged_mailboxes() -> Mailboxes:
    """The lists as they are packaged."""
    from disposable_email_domains import allowlist, blocklist

    roles = (row["name"] for _, row in csv_rows(ROLE_ACCOUNTS, "name"))
    return Mailboxes(frozenset(roles), frozenset(blocklist) - frozenset(allowlist))


def load_mailboxes(data_dir: Path) -> Mailboxes:
    """The packaged lists with what the user's files change.

    Raises:
        UserError: a file without its column, or a line that says neither yes nor no.
    """
    return Mailboxes(
        frozenset(read_role_accounts(data_dir / "role_accounts.csv")),
        _changed(
            packaged_mailboxes().disposable,
            data_dir / "disposable_domains.csv",
            "domain",
            "disposable",
            "write the domain after the @, such as mailinator.com, and yes or no as disposable",
        ),
    )


def read_role_accounts(path: Path) -> list[str]:
    """Mailbox names (the part before @ and +) that belong to a task and not to a person, sorted.

    Raises:
        UserError: no column `name`, or a `role` that is neither yes nor no.
    """
    advice = "write the name before the @, such as info, and yes or no as its role"
    return sorted(_changed(packaged_mailboxes().roles, path, "name", "role", advice))


def csv_rows(path: Path, needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a CSV whose column `needed` is not empty, by number; none if there is no file.

    Raises:
        UserError: the file lacks the column or is not UTF-8.
    """
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if needed not in (rows.fieldnames or []):
                raise UserError(
                    f"{path} needs a first line that names its columns, one of them {needed}."
                )
            for row in rows:
                if (row[needed] or "").strip():
                    # A line with too many cells holds the rest under None, as a list.
                    yield (
                        rows.line_num,
                        {k: (v or "").strip() for k, v in row.items() if k is not None},
                    )
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from error


def _changed(
    packaged: frozenset[str], path: Path, column: str, answer: str, advice: str
) -> frozenset[str]:
    names = set(packaged)
    for line, row in csv_rows(path, column):
        name, said = row[column].lower(), row.get(answer, "").lower()
        if "@" in name or said not in (*YES, *NO):
            raise UserError(f"{path} line {line}: {advice}.")
        if said in NO:
            names.discard(name)
        else:
            names.add(name)
    return frozenset(names)
