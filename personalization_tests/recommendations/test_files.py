"""The recommender on interactions in files: reading, cutting, tuning, judging."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from personalization_assets.cli import main
from personalization_assets.errors import UserError
from personalization_assets.recommendations import files

TASTES = 4


def events(people: int, days: range, repeats: bool = False) -> pl.DataFrame:
    """People of a few tastes who take a product of theirs each day, another on other days."""
    rows = [
        {
            "user": f"u{person}",
            "item": f"i{TASTES * ((person // TASTES + 3 * day) % 15) + person % TASTES}",
            "timestamp": 1_700_000_000 + 86_400 * (0 if repeats else day) + person,
        }
        for person in range(people)
        for day in days
    ]
    return pl.DataFrame(rows)


def write(folder: Path, name: str, frame: pl.DataFrame) -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_formats_are_read_alike(tmp_path: Path, name: str) -> None:
    frame = events(5, range(3)).rename({"user": "User_ID", "item": "product_id"})
    read = files.read_events(write(tmp_path, name, frame)).rows
    assert read.sort("customer_id", "at")["product_id"].to_list() == (
        frame.sort("User_ID", "timestamp")["product_id"].to_list()
    )
    assert read["at"].min() == 1_700_000_000
    assert read["weight"].unique().to_list() == [1.0]


def test_lines_of_a_user_and_all_their_items_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("0 5 7\n1\n2 5 \n")
    read = files.read_events(path)
    assert read.rows.select("customer_id", "product_id").rows() == [
        ("0", "5"), ("0", "7"), ("2", "5"),
    ]  # fmt: skip
    assert not read.timed


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (["2024-01-01T00:00:00", "2024-01-02"], [1704067200.0, 1704153600.0]),
        (["1704067200000", "1704153600000"], [1704067200.0, 1704153600.0]),
        (["1704067200", "1704153600"], [1704067200.0, 1704153600.0]),
    ],
)
def test_times_are_seconds_however_written(
    tmp_path: Path, times: list[str], seconds: list[float]
) -> None:
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "timestamp": times})
    assert files.read_events(write(tmp_path, "a.csv", frame)).rows["at"].to_list() == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user,thing\na,x\n", "no column `item`"),
        ("user,item,weight\na,x,much\n", "1 rows whose `weight` is not a number"),
        ("user,item,timestamp\na,x,soon\n", "1 rows whose `timestamp` is not a time"),
        ("user,item\n,x\n", "holds no interactions"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        files.read_events(path)
    with pytest.raises(UserError, match="There is no file"):
        files.read_events(tmp_path / "b.csv")


def test_rows_without_a_user_or_an_item_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,item\na,x\n,y\nb,\nc,z\n")
    read = files.read_events(path)
    assert (read.rows.height, read.left_out) == (2, 2)


def cut(tmp_path: Path, train: pl.DataFrame, test: pl.DataFrame) -> Any:
    both = [write(tmp_path, n, f) for n, f in (("train.csv", train), ("test.csv", test))]
    learnt, asked = (files.read_events(path) for path in both)
    early, late, how = files.cut(learnt, asked, seed=1)
    assert early.rows.height + late.rows.height == learnt.rows.height
    return early.rows, late.rows, how


def test_validation_is_cut_as_the_test_was(tmp_path: Path) -> None:
    train = events(20, range(20))
    early, late, how = cut(tmp_path, train, events(20, range(20, 24)))
    assert early["at"].max() < late["at"].min()
    assert "came later" in how

    early, late, how = cut(tmp_path, train, events(20, range(15, 18)))
    assert late["customer_id"].n_unique() == 20
    last = early.group_by("customer_id").agg(pl.col("at").max())
    assert (
        late.join(last, on="customer_id").select((pl.col("at") > pl.col("at_right")).all()).item()
    )

    early, late, how = cut(tmp_path, train.drop("timestamp"), events(20, range(3)))
    assert late.group_by("customer_id").len()["len"].unique().to_list() == [2]
    assert "by chance" in how


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(main, ["recommend", "evaluate", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_a_model_is_found_that_beats_popularity(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", events(60, range(5)))
    test = write(tmp_path, "test.csv", events(60, range(5, 7)))
    out = tmp_path / "figures.csv"
    run("--train", str(train), "--test", str(test), "--out", str(out), "--threads", "2")
    figures = {row["candidate"]: row for row in pl.read_csv(out).rows(named=True)}
    assert {"popular", "recent", "als", "ease", "knn", "als, untuned"} <= set(figures)
    for model in ("als", "ease", "knn"):
        assert figures[model]["ndcg@20"] > 1.5 * figures["popular"]["ndcg@20"]
        assert figures[model]["seconds"] > 0


def test_repeats_are_judged_apart_with_own_history_beside(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", events(60, range(8)))
    test = write(tmp_path, "test.csv", events(60, range(6, 11)))
    out = tmp_path / "figures.csv"
    run("--train", str(train), "--test", str(test), "--algorithm", "knn", "--out", str(out))
    figures = pl.read_csv(out)
    assert figures["target"].unique().sort().to_list() == ["all", "new"]
    repeated = figures.filter(target="all")
    assert "history" in repeated["candidate"].to_list()


def test_a_validation_file_is_tuned_on_and_then_learnt_from(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", events(60, range(6)))
    valid = write(tmp_path, "valid.csv", events(60, range(6, 8)))
    test = write(tmp_path, "test.csv", events(60, range(8, 10)))
    result = run(
        "--train", str(train), "--valid", str(valid), "--test", str(test), "--algorithm", "knn"
    )
    assert "480 interactions of 60 users" in result.output
    assert "Tuned on valid.csv" in " ".join(result.output.split())
