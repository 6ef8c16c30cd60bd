"""What a person decided binds every run."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from personalization_assets.errors import UserError
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.model import Model
from personalization_assets.identity.workspace import standing_decisions
from personalization_tests.identity.people import records, resolve
from personalization_tests.identity.test_who_is_who import ANNA

HEADER = "decision_id,source_l,record_id_l,source_r,record_id_r,verdict,decided_at,withdrawn_at\n"


def test_same_joins_what_has_nothing_in_common(model: Model) -> None:
    frame = records({"id": "a", **ANNA}, {"id": "b", "email": "elsewhere@mail.example"})
    assert not resolve(frame, model).together("a", "b")
    found = resolve(frame, model, decisions=[("a", "b", "same")])
    assert found.together("a", "b")
    assert set(found.links["linked_by"]) == {"decision"}
    assert set(found.review["status"]) == {"decided"}


@pytest.mark.parametrize("account", [None, "shop:1"])
def test_different_parts_even_exact_duplicates(model: Model, account: str | None) -> None:
    frame = records(*({"id": i, **ANNA, "account_key": account} for i in "abc"))
    assert resolve(frame, model).together("a", "b")
    found = resolve(frame, model, decisions=[("a", "b", "different")])
    assert not found.together("a", "b")
    assert found.together("a", "c") or found.together("b", "c")


def test_a_withdrawn_decision_no_longer_binds_and_the_latest_counts(tmp_path: Path) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text(
        HEADER + "1,crm,a,crm,b,different,2026-01-01,2026-02-01\n"
        "2,crm,d,crm,c,same,2026-01-01T08:00:00Z,\n"
        "3,crm,c,crm,d,Different,2026-01-02,\n"
    )
    con = duckdb.connect()
    con.register("decided", read_decisions(file).to_arrow())
    standing: pl.DataFrame = con.sql(standing_decisions("decided")).pl()
    assert standing.rows() == [("crm", "c", "crm", "d", "different")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("decision_id,verdict\n1,same\n", "lacks the column"),
        (HEADER + "1,crm,a,crm,b,maybe,,\n", "line 2, has an unknown verdict"),
        (HEADER + "1,crm,a,crm,b,same,yesterday,\n", "line 2, has a decided_at"),
        (HEADER + "1,crm,a,crm,b,same,,\n1,crm,a,crm,c,same,,\n", "used twice"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_decisions(file)
    assert read_decisions(tmp_path / "absent.csv").is_empty()
