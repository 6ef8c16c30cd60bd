"""`personalize identity train` and `link` on a table of records alone, as a user calls them."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main

OURS = ["source", "record_id", "customer_id", "household_id", "confidence"]


def call(*words: object) -> Result:
    """`personalize identity ...`."""
    return CliRunner().invoke(main, ["identity", *map(str, words)], catch_exceptions=False)


def refused(*words: object) -> str:
    """What a user reads who made a mistake: one sentence, no traceback."""
    result = call(*words)
    assert result.exit_code == 1
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture
def people(tmp_path: Path, townsfolk: tuple[pl.DataFrame, pl.DataFrame]) -> Path:
    """A Parquet file of the town with who is who in a column of it."""
    frame, truth = townsfolk
    known = frame.join(
        truth, left_on=["source", "record_id"], right_on=["source", "key"], how="left"
    ).drop("entity", "updated_at")
    known.write_parquet(tmp_path / "people.parquet")
    return tmp_path / "people.parquet"


def test_a_file_is_linked_and_judged(people: Path) -> None:
    out = people.with_name("links.parquet")
    result = call("link", "--records", people, "--out", out, "--truth", "person")
    assert result.exit_code == 0, result.output
    assert "pairs, after closure" in result.output
    assert "Calibration" in result.output
    links, records = pl.read_parquet(out), pl.read_parquet(people)
    assert links.columns == OURS
    assert links.height == records.height
    both = links.join(records, on=["source", "record_id"])
    mixed = both.group_by("customer_id").agg(pl.col("person").n_unique())["person"]
    assert (mixed > 1).sum() <= 0.02 * len(mixed)
    found = both.group_by("person").agg(pl.col("customer_id").n_unique())["customer_id"]
    assert (found > 1).sum() <= 0.05 * len(found)


def test_a_trained_model_gives_the_same_links_again(people: Path) -> None:
    model, first, second = (people.with_name(n) for n in ("m.json", "1.parquet", "2.parquet"))
    assert call("train", "--records", people, "--out", model).exit_code == 0
    for out in (first, second):
        words = ("link", "--records", people, "--out", out, "--model", model)
        assert call(*words).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    learnt = people.with_name("learnt.parquet")
    call("link", "--records", people, "--out", learnt)
    assert pl.read_parquet(learnt).equals(pl.read_parquet(first))


def test_customers_keep_their_ids_when_records_come_and_go(people: Path) -> None:
    first, second, model = (people.with_name(n) for n in ("1.parquet", "2.parquet", "m.json"))
    call("train", "--records", people, "--out", model)
    fewer = people.with_name("fewer.parquet")
    pl.read_parquet(people).sort("record_id", "source").tail(-90).write_parquet(fewer)
    call("link", "--records", fewer, "--out", first, "--model", model)
    words = ("--records", people, "--out", second, "--model", model, "--previous", first)
    assert call("link", *words).exit_code == 0
    both = pl.read_parquet(first).join(pl.read_parquet(second), on=["source", "record_id"])
    kept = both.select((pl.col("customer_id") == pl.col("customer_id_right")).mean()).item()
    assert kept > 0.995


def test_other_names_other_formats_and_other_columns(people: Path) -> None:
    frame = pl.read_parquet(people)
    odd = frame.select(
        KEY=pl.col("source") + "-" + pl.col("record_id"),
        Name=pl.concat_str("given_name", "family_name", separator=" ", ignore_nulls=True),
        Mail="email",
        Born=pl.col("birth_date").dt.strftime("%m/%d/%Y"),
        ZIP=pl.col("postcode").cast(pl.Int64).cast(pl.Float64),
        card=pl.when(pl.col("person").hash(3) % 2 == 0).then("person"),
        person="person",
    )
    csv, options = people.with_name("odd.csv"), people.with_name("options.yaml")
    odd.write_csv(csv)
    options.write_text(
        "columns: {record_id: KEY, full_name: Name, email: mail, birth_date: Born, postcode: ZIP}\n"
        "compare:\n  - {column: Card, compare: identifier}\n"
        "settings: {sample_records: 500}\n"
    )
    out = people.with_name("odd-links.csv")
    words = ("--records", csv, "--out", out, "--options", options, "--truth", "person")
    result = call("link", *words)
    assert result.exit_code == 0, result.output
    assert "no usable phone" in result.output
    links = pl.read_csv(out, infer_schema_length=0)
    assert links["source"].unique().to_list() == ["file"]
    both = links.join(odd, left_on="record_id", right_on="KEY")
    # Whoever shows the card is found by it, whatever the spelling.
    carded = both.filter(pl.col("card").is_not_null()).group_by("card")
    split = carded.agg(pl.col("customer_id").n_unique())["customer_id"]
    assert (split > 1).mean() < 0.02  # type: ignore[operator]


def test_the_same_dates_are_read_whichever_way_they_are_written(tmp_path: Path) -> None:
    from personalization_assets.identity.files import FileOptions, read_records
    from personalization_assets.identity.workspace import workspace

    forms = {"iso": "%Y-%m-%d", "plain": "%Y%m%d", "us": "%m/%d/%Y", "de": "%d.%m.%Y"}
    days = pl.Series([10, 20], dtype=pl.Int32)
    dates = pl.select(pl.date(1984, 3, days)).to_series()
    for name, form in forms.items():
        file = tmp_path / f"{name}.csv"
        pl.DataFrame({"given_name": ["A", "B"], "birth_date": dates.dt.strftime(form)}).write_csv(
            file
        )
        with workspace({}) as work:
            read_records(work, file, FileOptions())
            read = work.sql("SELECT birth_date FROM records ORDER BY given_name").pl()
        assert read["birth_date"].to_list() == dates.to_list(), name


def test_mistakes_end_in_one_sentence(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "links.parquet"
    assert "There is no file" in refused("link", "--records", tmp_path / "no.csv", "--out", out)
    assert "--out" in refused("link", "--records", people)
    file = tmp_path / "x.parquet"
    file.write_text("this is no Parquet file")
    assert "cannot be read" in refused("link", "--records", file, "--out", out)
    pl.DataFrame({"colour": ["red"]}).write_parquet(file)
    assert "no column to compare" in refused("link", "--records", file, "--out", out)
    pl.DataFrame({"record_id": ["1", "1"], "email": ["a@b.example", None]}).write_parquet(file)
    assert "repeat the source and record_id" in refused("link", "--records", file, "--out", out)
    words = ("link", "--records", people, "--out", out)
    assert "no column 'who'" in refused(*words, "--truth", "who")
    assert "not a model" in refused(*words, "--model", _written(tmp_path / "m.json", "{}"))
    options = _written(tmp_path / "o.yaml", "colums: {}")
    assert "o.yaml: colums" in refused(*words, "--options", options)
    assert not out.exists()


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
