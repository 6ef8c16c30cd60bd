"""Decisions are kept: no writer loses another's row, and what is withdrawn stays as history."""

import multiprocessing
from pathlib import Path

import duckdb
import pytest

from personalization_assets.errors import UserError
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.stewardship.decision_log import (
    Verdict,
    Verdicts,
    group_of,
    record,
    standing,
    withdraw,
)
from personalization_assets.identity.workspace import standing_decisions

A, B, C = ("crm", "a"), ("crm", "b"), ("web", 'c,\n"quoted"')


def one(verdict: Verdict) -> Verdicts:
    return Verdicts("decision", ((B, A, verdict),))


def _write_many(path: Path) -> None:
    for _ in range(10):
        record(path, one("same"), "clerk", "looked alike")


def test_writers_at_the_same_time_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    context = multiprocessing.get_context("spawn")
    clerks = [context.Process(target=_write_many, args=(path,)) for _ in range(3)]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
    assert read_decisions(path).height == 30


def test_the_latest_verdict_binds_here_as_in_the_run_until_it_is_withdrawn(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    record(path, one("same"), "clerk", None)
    [latest] = record(path, one("different"), "clerk", "twins")

    def in_the_run() -> list[tuple[str, ...]]:
        con = duckdb.connect()
        con.register("decided", read_decisions(path).to_arrow())
        return con.sql(standing_decisions("decided")).fetchall()

    assert standing(path)[A, B]["verdict"] == "different"
    assert in_the_run() == [(*A, *B, "different")]
    assert withdraw(path, latest) == [latest]
    assert standing(path)[A, B]["verdict"] == "same"
    assert in_the_run() == [(*A, *B, "same")]
    assert read_decisions(path).height == 2


def test_a_group_is_withdrawn_by_the_name_it_shares(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    group = Verdicts("split", ((A, B, "different"), (A, C, "different"), (B, C, "same")))
    ids = record(path, group, "clerk", None)
    [single] = record(path, one("same"), "clerk", None)
    assert withdraw(path, group_of(ids[0])) == ids
    assert list(standing(path)) == [(A, B)]
    assert standing(path)[A, B]["decision_id"] == single
    with pytest.raises(UserError, match="withdrawn before"):
        withdraw(path, group_of(ids[0]))
    with pytest.raises(UserError, match="holds no decision split"):
        withdraw(path, "split")


def test_a_file_with_a_mistake_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text("decision_id,source_l,record_id_l,source_r,record_id_r,verdict\n1,a,b,c,d,?\n")
    before = path.read_bytes()
    with pytest.raises(UserError, match="unknown verdict"):
        record(path, one("same"), "clerk", None)
    assert path.read_bytes() == before


def test_columns_and_rows_of_a_hand_written_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text(
        "decision_id,source_l,record_id_l,source_r,record_id_r,verdict,ticket\n"
        "mine,crm,a,crm,b,same,T-7\n",
        encoding="utf-8-sig",
    )
    record(path, Verdicts("decision", ((A, C, "different"),)), "clerk", "=1+1, or so")
    assert path.read_text(encoding="utf-8").splitlines()[1].startswith("mine,crm,a,crm,b,same,T-7")
    assert set(standing(path)) == {(A, B), (A, C)}
