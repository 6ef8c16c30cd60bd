"""The README's examples are the files that the tests run."""

import re
from pathlib import Path

from personalization_assets.settings import PROJECT
from personalization_assets.sql_models import read_sql_model


def blocks(language: str) -> list[str]:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def test_the_worked_example_is_the_tested_file() -> None:
    tested = PROJECT / "personalization_tests" / "real_shop" / "sources.yaml"
    assert tested.read_text(encoding="utf-8") in blocks("yaml")


def test_the_sql_example_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "profiles" / "broad_buyers.sql"
    path.parent.mkdir()
    path.write_text(blocks("sql")[0], encoding="utf-8")
    assert read_sql_model(path).reads == ["profiles.transactions"]


def test_every_link_and_picture_of_the_repository_is_there() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if not t.startswith("http")]
    assert targets
    assert [t for t in targets if not (PROJECT / t).exists()] == []
