"""What is filled in where a fact is missing: by whom, for whom, and when rather nothing is."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from personalization_assets.errors import UserError
from personalization_assets.profiles.checks import third_party_files_refused
from personalization_assets.profiles.enrichment_file import VendorFile, read_enrichment_file
from personalization_assets.profiles.imputing import TARGETS, Imputed, impute
from personalization_assets.profiles.settings import ProfilesSettings
from personalization_assets.profiles.third_party import read_files

from .shop import AS_OF, Shop, ago

SETTINGS = ProfilesSettings(imputation_min_known=100)
PERSON = {
    "description": "Bought",
    "path": "vendor.csv",
    "licence": "Contract 7",
    "join": {"email_sha256": "hash"},
    "fills": {"age_band": {"column": "age", "confidence": 0.7, "labels": {"old": "65+"}}},
}


def sha(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def shop_of(third_party: bool | None, personalisation: bool = True, **person: Any) -> Shop:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", email="a@x.org", updated_at=ago(1), **person)
    shop.add(
        "preferences", "pc", record_id="p", email="a@x.org", updated_at=ago(1),
        personalisation=personalisation, third_party=third_party,
    )  # fmt: skip
    shop.link("c_1", "crm/a", "pc/p")
    return shop


def vendor(folder: Path, rows: str, **changes: Any) -> dict[str, VendorFile]:
    (folder / "vendor.csv").write_text(rows, encoding="utf-8")
    return {"bought": VendorFile.model_validate({**PERSON, **changes})}


def test_a_third_party_fills_what_is_missing_and_says_so(tmp_path: Path) -> None:
    files = vendor(tmp_path, f"hash,age\n{sha('b@x.org')},old\n{sha('a@x.org').upper()},old\n")
    row = shop_of(third_party=True).build(vendors=files, folder=tmp_path).one("golden_profiles")
    assert (row["age_band"], row["age_band_confidence"]) == ("65+", 0.7)
    assert row["age_band_origin"] == "third_party/bought/2"


def test_a_fact_that_arrives_wins(tmp_path: Path) -> None:
    files = vendor(tmp_path, f"hash,age\n{sha('a@x.org')},old\n")
    shop = shop_of(third_party=True, birth_date=dt.date(1990, 1, 1))
    row = shop.build(vendors=files, folder=tmp_path).one("golden_profiles")
    assert (row["age_band"], row["age_band_confidence"]) == ("35-44", 1.0)
    assert row["age_band_origin"] == "crm/a"
    assert shop.frame("imputations").height == 0


@pytest.mark.parametrize(
    ("third_party", "personalisation"), [(False, True), (None, True), (True, False)]
)
def test_who_did_not_agree_is_left_alone(
    tmp_path: Path, third_party: bool | None, personalisation: bool
) -> None:
    files = vendor(tmp_path, f"hash,age\n{sha('a@x.org')},old\n")
    shop = shop_of(third_party, personalisation).build(vendors=files, folder=tmp_path)
    assert shop.frame("third_party").height == 0
    assert shop.one("golden_profiles")["age_band"] is None


@pytest.mark.parametrize(
    ("third_party", "urbanity"), [(True, "rural"), (None, "rural"), (False, None)]
)
def test_data_about_areas_hears_a_stated_no(
    tmp_path: Path, third_party: bool | None, urbanity: str | None
) -> None:
    files = vendor(
        tmp_path,
        "country,zip,kind\nde,SW1 2-AB,rural\n",
        consent="personalisation",
        join={"country": "country", "postcode": "zip"},
        fills={"urbanity": {"column": "kind", "confidence": 0.9}},
    )
    shop = shop_of(third_party, country="DE", postcode="SW12AB")
    row = shop.build(vendors=files, folder=tmp_path).one("golden_profiles")
    assert row["urbanity"] == urbanity


def test_a_key_of_two_customers_fills_nothing(tmp_path: Path) -> None:
    files = vendor(tmp_path, f"hash,age\n{sha('a@x.org')},old\n")
    shop = shop_of(third_party=True)
    shop.add("crm_contacts", "crm", record_id="b", email="a@x.org", updated_at=ago(1))
    shop.link("c_2", "crm/b")
    assert shop.build(vendors=files, folder=tmp_path).frame("third_party").height == 0


def test_bad_rows_are_refused_one_by_one(tmp_path: Path) -> None:
    a, b, c, d = (sha(name) for name in "abcd")
    rows = (
        f"hash,age,sure,seen\nnone,old,0.5,2026-05-01\n{a},old,0.5,2026-05-01\n"
        f"{a},old,0.5,2026-05-01\n{b},ancient,0.5,2026-05-01\n{c},old,7,2026-05-01\n"
        f"{d},old,0.5,2020-05-01\n{d},old,0.5,soon\n"
    )
    files = vendor(
        tmp_path, rows, observed_on="seen", max_age_days=90,
        fills={"age_band": {"column": "age", "confidence_column": "sure",
                            "labels": {"old": "65+"}}},
    )  # fmt: skip
    read = read_files(files, tmp_path, set(), AS_OF)
    assert read.values["row"].to_list() == [2]
    assert dict(read.refused.sort("row").select("row", "reason").iter_rows()) == {
        1: "key_unreadable",
        3: "key_repeated",
        4: "value_unknown",
        5: "confidence_unreadable",
        6: "too_old",
        7: "day_unreadable",
    }


def test_a_file_that_does_not_fit_is_refused_with_a_sentence(tmp_path: Path) -> None:
    files = vendor(tmp_path, "hash,years\n1,2\n")
    read = read_files(files, tmp_path, set(), AS_OF)
    assert "'bought' has no column age" in read.problems[0]
    assert read.refused["reason"].to_list() == ["file_refused"]
    shop = shop_of(third_party=True).build(vendors=files, folder=tmp_path)
    assert third_party_files_refused(shop.con) == ["bought"]
    ended = vendor(tmp_path, "hash,age\n1,old\n", licence_ends=dt.date(2026, 5, 31))
    assert "ended on 2026-05-31" in read_files(ended, tmp_path, set(), AS_OF).problems[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fills": {"gender": {"column": "g", "confidence": 1}}}, "gender is never filled"),
        ({"consent": "personalisation"}, "need `consent: third_party`"),
        ({"join": {"postcode": "zip"}}, "must name one key"),
    ],
)
def test_mistakes_in_the_file_get_a_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "enrichment.yaml"
    path.write_text(repr({"version": 1, "files": {"bought": {**PERSON, **changes}}}))
    with pytest.raises(UserError, match=sentence):
        read_enrichment_file(path)


def test_a_source_cannot_pass_for_a_guess(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rename it"):
        read_enrichment_file(tmp_path / "none.yaml", ["imputed"])


def crowd(seed: int, informative: bool, people: int = 400) -> duckdb.DuckDBPyConnection:
    """Customers whose age shows in their first name, or whose age was dealt out at random."""
    rng = np.random.default_rng(seed)
    band = rng.choice(["25-34", "45-54", "65+"], people, p=[0.3, 0.4, 0.3])
    name = np.where(rng.random(people) < 0.85, np.char.add("n", band), "other")
    if not informative:
        band = rng.permutation(band)
    unknown = np.arange(people) % 8 == 0
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(people)],
            "household_id": [f"h{i // 2}" for i in range(people)],
            "age_band": pl.Series(band.tolist()).set(pl.Series(unknown), None),
            "given_name": name.tolist(),
            "device_type": rng.choice(["mobile", "desktop"], people).tolist(),
        }
    )
    con = duckdb.connect()
    con.execute("CREATE SCHEMA profiles")
    con.register("frame", frame.to_arrow())
    others = ", ".join(
        f"NULL::VARCHAR AS {s}" for s in TARGETS["age_band"].signals if s not in frame.columns
    )
    con.execute(f"CREATE TABLE profiles.imputation_signals AS SELECT *, {others} FROM frame")
    return con


def predicted(seed: int, informative: bool) -> Imputed:
    with crowd(seed, informative) as con:
        return impute(con, "age_band", SETTINGS, seed=20)


def test_names_that_tell_the_age_are_used() -> None:
    found = predicted(1, informative=True)
    assert found.used
    assert found.quality is not None
    assert found.quality.accuracy > found.quality.baseline + 0.2
    assert found.filled["confidence"].min() >= 0.5  # type: ignore[operator]
    assert 30 < found.filled.height <= found.missing == 50


def test_noise_is_refused() -> None:
    used = [predicted(seed, informative=False).used for seed in range(20)]
    assert sum(used) <= 1


def test_the_same_input_gives_the_same_rows() -> None:
    first, again = predicted(3, informative=True), predicted(3, informative=True)
    assert first.model_version == again.model_version
    assert first.filled.equals(again.filled)


def test_too_few_known_values_teach_nothing() -> None:
    with crowd(1, informative=True, people=80) as con:
        found = impute(con, "age_band", SETTINGS, seed=20)
    assert (found.used, found.quality) == (False, None)


def test_nobody_is_guessed_to_be_a_minor() -> None:
    with crowd(1, informative=True) as con:
        con.execute(
            "UPDATE profiles.imputation_signals SET age_band = 'under_18' WHERE age_band = '65+'"
        )
        found = impute(con, "age_band", SETTINGS, seed=20)
    assert found.used
    assert "under_18" not in set(found.filled["value"])


def test_gender_is_neither_guessed_nor_a_hint() -> None:
    assert "gender" not in TARGETS
    assert all("gender" not in target.signals for target in TARGETS.values())
