"""A mistake in a SQL model's file is one sentence that names the file and what to change."""

from pathlib import Path

import pytest

from personalization_assets.errors import UserError
from personalization_assets.settings import PROJECT
from personalization_assets.sql_models import read_sql_model, read_sql_models

HEADER = "-- A table.\n-- @grain: one row per a\n-- @key: a\n-- @column a: The key\n"


def model(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "profiles" / "things.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_header_becomes_a_contract(tmp_path: Path) -> None:
    notes = "-- @renamed a: former\n-- @warn small: a < 3\n"
    read = read_sql_model(model(tmp_path, HEADER + notes + "SELECT a FROM standardized.orders"))
    assert read.contract.name == "profiles.things"
    assert read.contract.key == ("a",)
    assert {r.name: r.severity for r in read.contract.rules} == {
        "a.required": "error",
        "key.unique": "error",
        "small": "warning",
    }
    assert read.reads == ["standardized.orders"]
    assert [(c.name, c.renamed_from) for c in read.contract.columns] == [("a", "former")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER + "SELECT a, b FROM t.u", "no `@column` note for b"),
        (HEADER + "-- @column b: Gone\nSELECT a FROM t.u", "describes b, which the SELECT"),
        (HEADER + "SELECT a FROM (SELECT", "is not SQL that can be read"),
        (HEADER + "SELECT a FROM t.u; SELECT 1", "exactly one SELECT"),
        (HEADER + "DROP TABLE t.u", "exactly one SELECT"),
        ("-- A table.\n-- @column a: The key\nSELECT a FROM t.u", "names no key"),
        ("-- @kye: a\nSELECT a FROM t.u", "`@kye` is not known"),
        (HEADER + "-- @renamed b: c\nSELECT a FROM t.u", "`@renamed b` has no `@column` note"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = model(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_sql_model(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_shipped_model_is_readable() -> None:
    models = read_sql_models(PROJECT / "dbt_like_sql")
    assert models
    assert all(m.contract.description and m.contract.grain for m in models)
