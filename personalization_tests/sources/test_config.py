"""Each mistake in a sources file gives one sentence that names the place and the way out."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personalization_assets.errors import UserError
from personalization_assets.sources import expressions, platform
from personalization_assets.sources.config import json_schema, load_sources
from personalization_tests.sources.conftest import CRM

Shop = Callable[..., Any]

COMPUTED = ("source", "record_id", "order_source")
"""Columns of the contracts that the platform fills itself."""

TILL = """
version: 1
sources:
  heads: {path: a, format: csv, feeds: {orders: {columns: {order_id: id}}}}
  lines:
    path: b
    format: csv
    feeds:
      order_lines: {orders_of: heads, columns: {order_id: id}}
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("path:", "pth:", "`sources.crm.pth` is not a setting: did you mean `path`."),
        (
            "crm_contacts:",
            "crm_contact:",
            "is not a standardized table: did you mean `crm_contacts`.",
        ),
        ("email: Mail", "emial: Mail", "columns.emial` is not a column of crm_contacts"),
        ("email: Mail", "emial: Mail", "did you mean `email`"),
        ("contact_id: ID, ", "", "`sources.crm.feeds.crm_contacts.columns` must fill `contact_id`"),
        ("contact_id: ID", "contact_id: 7", "must be the name of a column of the source"),
        ("contact_id: ID", "contact_id: {sqll: x}", "{sql: ...} or {constant: ...}"),
        ("format: csv", "format: cvs", "`sources.crm.format` is not valid: input should be 'csv'"),
        ("format: csv", "format: csv\n    time_zone: Berlin", "'Berlin' is not a time zone"),
        ("format: csv", "format: csv\n    csv: {encoding: utf9}", "'utf9' is not an encoding"),
        ("format: csv", "format: csv\n    country: Germany", "`sources.crm.country` is not valid"),
        ("format: csv", "", "`sources.crm.format` is missing: add it."),
        (
            "format: csv",
            "format: csv\n    format: csv",
            "at line 7, column 5: 'format' is there twice",
        ),
        ("  crm:", "  CRM!:", "`sources.CRM!` is not a usable name"),
        ("crm/*.csv*", "${NO_SUCH_FOLDER}/a", "variable NO_SUCH_FOLDER, which is not set"),
        ("sources:", "sources: [", "is not readable YAML at line"),
        ("sources:", "source:", "must hold `version: 1` and `sources:`"),
        ("version: 1", "version: 2", "`version` is not valid"),
    ],
)
def test_mistakes(shop: Shop, old: str, new: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        shop(CRM.replace(old, new, 1))
    text = str(error.value)
    assert sentence in text
    assert "sources.yaml" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("orders_of: heads", "orders_of: head", "feeds orders: did you mean `heads`."),
        ("orders_of: heads", "orders_of: lines", "not a source that feeds orders: use one of head"),
        ("feeds: {orders: {columns: {order_id: id}}}", "feeds: {}", "no source does, remove it."),
        ("{orders: {col", "{orders: {orders_of: heads, col", "is for an order_lines feed only"),
    ],
)
def test_orders_of_names_a_source_of_orders(shop: Shop, old: str, new: str, sentence: str) -> None:
    assert shop(TILL).sources["lines"].feeds["order_lines"].orders_of == "heads"
    with pytest.raises(
        UserError, match=r"`sources\.(heads|lines)\.feeds\.\w+\.orders_of` is"
    ) as error:
        shop(TILL.replace(old, new, 1))
    assert sentence in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no sources file .*none.yaml: create it"):
        load_sources(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("(SELECT max(x) FROM other)", "must not read other tables"),
        ("read_text('/etc/hosts')", "must not call read_text()"),
        ("now()", "must not call now(), its value changes"),
        ("1), (2", "must be a single SQL expression"),
        ("Mail; DROP TABLE x", "is not a SQL expression"),
    ],
)
def test_sql_that_may_not_be_there(shop: Shop, sql: str, reason: str) -> None:
    config = shop(CRM.replace("email: Mail", f'email: {{sql: "{sql}"}}'))
    with pytest.raises(UserError) as error:
        expressions.check(config)
    assert f"`sources.crm.feeds.crm_contacts.columns.email` {reason}" in str(error.value)


def test_words_that_yaml_would_turn_into_something_else(shop: Shop) -> None:
    text = CRM.replace("format: csv", "format: csv\n    country: NO")
    text += "        labels: {email: {01: one, true: yes}}\n"
    source = shop(text).sources["crm"]
    assert source.country == "NO"
    assert source.feeds["crm_contacts"].labels == {"email": {"01": "one", "true": "yes"}}


def test_paths_start_from_the_file_or_from_root(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop().pattern("crm") == tmp_path / "crm/*.csv*"
    monkeypatch.setenv("LANDING", "/landing")
    assert shop(CRM + "root: ${LANDING}/x").pattern("crm") == Path("/landing/x/crm/*.csv*")
    assert shop(CRM + "root: ${NOT_SET:-sub}").pattern("crm") == tmp_path / "sub/crm/*.csv*"


def test_columns_that_sql_reads_are_needed(shop: Shop) -> None:
    config = shop(CRM.replace("email: Mail", """email: {sql: "lower(MAIL) || id"}"""))
    assert expressions.needed_columns(config.sources["crm"]) == ["ID", "First", "MAIL"]


def test_the_names_agree_with_the_contracts() -> None:
    from personalization_assets.contracts import contract_of
    from personalization_assets.standardized import contracts

    models = [getattr(contracts, n) for n in contracts.__all__ if n != "Quarantine"]
    tables = {c.table: {col.name for col in c.columns} for c in map(contract_of, models)}
    assert set(tables) == set(platform.COLUMNS)
    for table, columns in platform.COLUMNS.items():
        fillable = {
            c
            for c in tables[table]
            if c[0] != "_" and c not in COMPUTED and not c.endswith("_base")
        }
        given = set(columns) - set(platform.READ_ONLY.get(table, ())) - {"record_id"}
        assert given == fillable, table


def test_the_schema_for_editors_is_up_to_date() -> None:
    tracked = Path(platform.__file__).with_name("sources.schema.json")
    assert json.loads(tracked.read_text(encoding="utf-8")) == json_schema()


def test_reading_the_file_imports_nothing_heavy() -> None:
    code = (
        "import sys; import personalization_assets.sources.config;"
        "print([m for m in ('polars', 'pandera', 'duckdb', 'sqlglot', 'dagster', 'pyarrow')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
