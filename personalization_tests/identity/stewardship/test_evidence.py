"""The evidence is the model's: what is shown adds up to what was published."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from personalization_assets.identity.stewardship.evidence import Evidence, weigh
from personalization_assets.warehouse import reading
from personalization_tests.identity.stewardship.conftest import Shop

PAIRS = """
SELECT source_l, record_id_l, source_r, record_id_r, match_weight, match_probability, cause,
    household_probability
FROM identity.matches ORDER BY ALL
"""


def weighed(shop: Shop, *pairs: tuple[str, str]) -> list[Evidence]:
    keys = [tuple(tuple(name.split("/")) for name in pair) for pair in pairs]
    with reading(shop.settings.warehouse_file) as con:
        return weigh(con, shop.settings.identity, keys)  # type: ignore[arg-type]


def test_prior_and_steps_add_up_to_the_published_weight_of_every_pair(shop: Shop) -> None:
    with reading(shop.settings.warehouse_file) as con:
        rows = con.execute(PAIRS).fetchall()
        found = weigh(con, shop.settings.identity, [((r[0], r[1]), (r[2], r[3])) for r in rows])
    scored = [(r, e) for r, e in zip(rows, found, strict=True) if e.steps]
    assert len(scored) > 200
    for row, e in scored:
        assert e.prior + sum(step.bits for step in e.steps) == pytest.approx(row[4], abs=1e-6)
        assert e.published == row[5]
        assert e.p_household == pytest.approx(row[7], abs=1e-6)
        if e.cause == "model":
            assert e.p == pytest.approx(row[5], abs=1e-6)
    assert [e.cause for e in found] == [r[6] for r in rows]
    assert not any(e.outdated for e in found)
    assert any(step.rarity > 0.1 for _, e in scored for step in e.steps)
    assert any(step.rarity < -0.1 for _, e in scored for step in e.steps)


def test_a_pair_says_the_same_from_either_side(shop: Shop) -> None:
    one, other = weighed(shop, ("crm/eva", "crm/paul"), ("crm/paul", "crm/eva"))
    assert one.weight == other.weight
    assert [(s.left, s.right, s.bits) for s in one.steps] == [
        (s.right, s.left, s.bits) for s in other.steps
    ]
    given = next(s for s in one.steps if s.comparison == "given_name")
    assert (given.left, given.right, given.level) == ("eva", "paul", "different")
    assert given.bits < 0


def test_what_is_not_compared_is_explained_all_the_same(shop: Shop) -> None:
    same, bare, far = weighed(
        shop,
        ("crm/anna2", "crm/anna3"),
        ("crm/anna2", "mails/anna5"),
        ("crm/anna2", "crm/jonas1"),
    )
    assert same.same_node
    assert same.cause == "exact"
    assert bare.cause is not None
    assert bare.cause.startswith("owner")
    assert not bare.steps
    assert far.cause is None
    assert far.weight is not None
    assert far.weight < 0


def test_what_cannot_be_one_person_is_said_to_be_so(shop: Shop) -> None:
    (shop.folder / "settings.yaml").write_text("identity: {one_per_person: {'*': [account_key]}}")
    with duckdb.connect(str(shop.settings.warehouse_file)) as con:
        con.execute("UPDATE identity.records SET account_key = 'shop:3' WHERE record_id = 'anna2'")
    shop.relink("2026-11-02")
    told = shop.run("explain", "crm/anna1", "crm/anna2", "--table")
    assert "what a person has one of" in told.output
    assert "Sum" in told.output


def test_figures_of_records_that_changed_since_the_run_say_so(shop: Shop) -> None:
    with duckdb.connect(str(shop.settings.warehouse_file)) as con:
        con.execute("UPDATE identity.records SET given_name = 'Paula' WHERE record_id = 'eva'")
    changed = shop.run("explain", "crm/eva", "crm/paul", "--table")
    assert changed.exit_code == 0
    assert "have changed since the run" in changed.output


def test_the_page_of_a_pair_needs_nothing_else_and_no_value_becomes_markup(shop: Shop) -> None:
    page = shop.folder / "page.html"
    done = shop.run("explain", "crm/markup", "crm/markup2", "--out", str(page))
    assert done.exit_code == 0
    assert "Sum" in done.output
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    for markup in ("<img", "<script", "http://", "https://", "url(", "@import"):
        assert markup not in text


def test_a_customer_is_explained_by_its_id_or_by_one_of_its_records(shop: Shop) -> None:
    customer = shop.customer("anna1")
    by_id = shop.run("explain", customer)
    assert by_id.exit_code == 0
    assert (shop.folder / "exports" / "evidence" / f"{customer}.html").exists()
    for name in ("crm/anna1", "crm/anna2", "crm/anna3", "crm/anna4", "mails/anna5"):
        assert name in by_id.output
    by_record = shop.run("explain", "mails/anna5", "--table")
    assert by_record.output.splitlines()[0] == by_id.output.splitlines()[0]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["crm/nobody", "crm/eva"], "no such record of source `crm`"),
        (["eva", "crm/paul"], "named source/record_id"),
        (["c_0000000000000000"], "holds no customer c_0000000000000000"),
        (["crm/eva", "crm/paul", "crm/roth"], "more were given"),
    ],
)
def test_a_name_that_is_not_there_is_refused_in_a_sentence(
    shop: Shop, names: list[str], sentence: str
) -> None:
    refused = shop.run("explain", *names)
    assert refused.exit_code == 1
    assert sentence in refused.output
    assert "Traceback" not in refused.output
    assert "nobody" not in refused.output


def test_who_holds_the_warehouse_is_named(shop: Shop, tmp_path: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(shop.settings.warehouse_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "held\n"
        refused = shop.run("explain", "crm/eva", "crm/paul")
    finally:
        holder.communicate("\n")
    assert refused.exit_code == 1
    assert f"is held by process {holder.pid}" in refused.output
