"""Versions: which one is current, and what a person may change about it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.errors import UserError
from personalization_assets.recommendations.promotion_contracts import Promotions
from personalization_assets.recommendations.promotions import (
    COLUMNS,
    FILE,
    promote,
    promoted_version,
    read_promotions,
    settle,
    withdraw,
)

A, B, C, D = (letter * 12 for letter in "abcd")


def models(published: dict[str, bool]) -> pl.DataFrame:
    """Versions in the order trained, none of them current yet."""
    return pl.DataFrame(
        {
            "model_version": list(published),
            "number": range(1, len(published) + 1),
            "published": list(published.values()),
            "is_current": False,
        }
    )


def current(
    published: dict[str, bool],
    version: str,
    promoted: str | None = None,
    without: tuple[str, ...] = (),
    keep: int = 2,
) -> tuple[str | None, set[str]]:
    there = [v for v in published if v not in without]
    settled = settle(models(published), there, version, promoted, keep)
    found = settled.models.filter("is_current")["model_version"].to_list()
    assert len(found) <= 1
    return (found[0] if found else None), set(settled.kept)


def test_a_published_version_is_current_at_once_and_an_unpublished_one_never() -> None:
    assert current({A: True, B: True}, B)[0] == B
    assert current({A: True, B: False}, B)[0] == A
    assert current({A: False}, A)[0] is None


def test_going_back_to_earlier_settings_makes_their_version_current_again() -> None:
    assert current({A: True, B: True}, A)[0] == A


def test_a_promotion_holds_over_whatever_is_published_meanwhile() -> None:
    assert current({A: True, B: True, C: True}, C, promoted=A)[0] == A
    assert current({A: False, B: True}, B, promoted=A)[0] == A  # a person may know better


def test_after_a_withdrawal_it_is_as_if_nobody_had_promoted_anything() -> None:
    published = {A: True, B: True, C: False}
    assert current(published, C, promoted=A)[0] == A
    assert current(published, C, promoted=None)[0] == B


def test_a_promoted_version_whose_factors_are_gone_does_not_bind() -> None:
    assert current({A: True, B: True}, B, promoted=A, without=(A,))[0] == B
    assert current({A: True, B: True}, B, promoted=D)[0] == B


def test_factors_are_kept_of_the_promoted_version_and_of_what_follows_its_withdrawal() -> None:
    published = {A: True, B: True, C: False, D: False}
    assert current(published, D, promoted=A, keep=1) == (A, {A, B, D})
    assert current(published, D, keep=1) == (B, {B, D})
    assert current(published, D, keep=2) == (B, {B, C, D})


def test_promoting_and_withdrawing_leave_rows_that_keep_the_contract(tmp_path: Path) -> None:
    path = tmp_path / FILE
    first = promote(path, A, "ann", 'the new one shows "odd, things"')
    second = promote(path, B, "ben", None)
    frame = read_promotions(path)
    audit = contract_of(Promotions).audit(frame)
    assert audit.rejected.is_empty(), audit.failures
    assert promoted_version(frame) == B
    rows = {r["promotion_id"]: r for r in frame.to_dicts()}
    assert rows[first]["reason"] == 'the new one shows "odd, things"'
    assert rows[first]["withdrawn_at"] == rows[second]["promoted_at"]
    assert rows[second]["reason"] is None

    assert withdraw(path) == B
    assert promoted_version(read_promotions(path)) is None
    with pytest.raises(UserError, match="nothing to withdraw"):
        withdraw(path)


def test_a_file_with_a_mistake_is_named_by_line_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / FILE
    head = ",".join(COLUMNS)
    for line, what in [
        ("p1,not-a-version,ann,2026-01-01,,", "12 hex digits"),
        (f"p1,{A},ann,yesterday,,", "promoted_at that is no time"),
        (f",{A},ann,2026-01-01,,", "empty promotion_id"),
    ]:
        path.write_text(f"{head}\n{line}\n")
        before = path.read_bytes()
        with pytest.raises(UserError, match=f"line 2, has .*{what}"):
            promote(path, B, "ann", None)
        assert path.read_bytes() == before
    path.write_text("version\nx\n")
    with pytest.raises(UserError, match="lacks the column"):
        read_promotions(path)


def test_columns_and_rows_of_the_users_own_survive(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text(f"ticket,{','.join(COLUMNS)}\nSHOP-7,p1,{A},ann,2026-01-01 10:00,,\n")
    promote(path, B, "ben", None)
    text = path.read_text()
    assert "SHOP-7" in text
    assert promoted_version(read_promotions(path)) == B


def test_two_people_at_once_lose_no_promotion_and_one_holds(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda i: promote(path, A if i % 2 else B, f"p{i}", None), range(24)))
    frame = read_promotions(path)
    assert set(frame["promotion_id"]) == set(ids)
    assert frame["holds"].sum() == 1
    assert frame["withdrawn_at"].null_count() == 1


def test_without_a_file_nobody_promoted_anything(tmp_path: Path) -> None:
    frame = read_promotions(tmp_path / FILE)
    assert frame.is_empty()
    assert promoted_version(frame) is None
    assert contract_of(Promotions).audit(frame).rejected.is_empty()
