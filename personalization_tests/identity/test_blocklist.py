"""What a user wants ignored: a file that is read whole or refused in one sentence."""

import datetime as dt
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from personalization_assets.errors import UserError
from personalization_assets.identity.assets import ASSETS
from personalization_assets.identity.blocklist import read_blocklist
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse


def test_values_stay_as_written_but_for_blanks_and_case(tmp_path: Path) -> None:
    file = tmp_path / "identity_blocklist.csv"
    file.write_text(
        "\ufeffkind,value,reason\nEmail, Shop@Example.org ,our own\nphone,+49 30 123456,\n"
        "dob,1970-01-01,\ndevice,Kiosk-1,in the shop\n"
    )
    assert read_blocklist(file).rows() == [
        ("device", "Kiosk-1", "in the shop"),
        ("dob", "1970-01-01", None),
        ("email", "shop@example.org", "our own"),
        ("phone", "+49 30 123456", None),
    ]
    file.write_text("kind,value\n")
    assert read_blocklist(file).is_empty()
    assert read_blocklist(tmp_path / "absent.csv").columns == ["kind", "value", "reason"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind,reason\nemail,x\n", r"lacks the column\(s\) value: add them"),
        ("kind,value\nemail,\n", "line 2, has an empty kind or value"),
        ("kind,value\nphone,0301234567\nfax,1\n", "line 3, has an unknown kind: use one of email"),
        ("kind,value\nemail,nobody\n", "line 2, has an email without an @"),
        ("kind,value\nphone,110\n", "line 2, has a phone of fewer than seven digits"),
        ("kind,value\ndob,1.1.1970\n", "line 2, has a dob that is no date like 1970-01-01"),
        ("kind,value\nemail,A@x.org\nemail,a@x.org\n", "line 3, repeats an earlier line"),
        ('kind,value\n"email,secret@x.org\n', "is not a readable CSV file"),
    ],
)
def test_a_mistake_is_said_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "identity_blocklist.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=complaint) as refused:
        read_blocklist(file)
    assert "secret" not in str(refused.value)


def test_a_listed_address_is_no_evidence_any_more(
    tmp_path: Path, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    frame = townsfolk[0]
    warehouse = Warehouse(database=str(tmp_path / "warehouse.duckdb"))
    with warehouse.connect() as con:
        con.execute("CREATE SCHEMA identity")
        con.register("incoming", frame.to_arrow())
        con.execute("CREATE TABLE identity.records AS SELECT * FROM incoming")

    def weights() -> dict[tuple[str, str, str], float]:
        assert dg.materialize(
            ASSETS[:-1],
            resources={
                "warehouse": warehouse,
                "settings": Settings(
                    data_dir=tmp_path, identity=IdentitySettings(sample_records=500)
                ),
                "clock": Clock(as_of=dt.datetime(2026, 11, 1).isoformat()),
            },
        ).success
        with warehouse.connect() as con:
            rows = con.execute(
                "SELECT record_id_l, source_l, source_r, match_weight FROM identity.matches"
                " WHERE cause = 'model' AND record_id_l = record_id_r"
            ).fetchall()
        return {(r[0], r[1], r[2]): r[3] for r in rows}

    before = weights()
    shared = frame.filter(pl.col("email").is_not_null())
    (record, left, right) = next(
        (r, a, b)
        for r, a, b in sorted(before)
        if shared.filter(pl.col("record_id") == r, pl.col("source").is_in([a, b])).height == 2
    )
    address = shared.filter(record_id=record, source=left)["email"][0]
    (tmp_path / "identity_blocklist.csv").write_text(f"kind,value\nemail,{address}\n")
    after = weights()
    assert after.get((record, left, right), 0.0) < before[record, left, right] - 1
