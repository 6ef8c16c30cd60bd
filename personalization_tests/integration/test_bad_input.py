"""What people get wrong, through the command line: one clear sentence, and nothing is lost."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from personalization_tests.integration.conftest import Shop

SOURCES = ("--select", "group:sources")
CRM = "landing/crm/contacts.csv"


@pytest.fixture
def mine(fresh_shop: Shop, tmp_path: Path) -> Shop:
    """A shop to break; nothing has run yet."""
    return fresh_shop.copy(tmp_path / "data")


def test_files_that_cannot_be_read_are_named_and_their_old_rows_stay(mine: Shop) -> None:
    assert mine.personalize(*SOURCES)[0] == 0
    names = [n for (n,) in mine.query("SELECT DISTINCT source FROM sources.files ORDER BY 1")]
    count = " UNION ALL ".join(f"SELECT '{n}', count(*) FROM sources.{n}" for n in names)
    before = mine.query(count)

    landing = mine.folder / "landing"
    gz = sorted((landing / "web").glob("*.gz"))
    gz[0].write_bytes(b"no gzip at all, \x00\x01\x02" * 20)
    gz[1].write_bytes(gz[1].read_bytes()[:-200])
    lines = landing / "shop" / "order_lines.parquet"
    lines.write_bytes(lines.read_bytes()[:-300] + bytes(200) + lines.read_bytes()[-100:])
    mine.replace(CRM, "LastName", "Surname")
    members = landing / "loyalty" / "members.csv"
    members.write_bytes(members.read_bytes().replace(b"\n", b"\n\x81\x8d", 3))
    (landing / "social" / "activity.ndjson").write_bytes(b"")
    (landing / "preferences" / "preferences.csv").write_bytes(gzip.compress(b""))

    code, text = mine.personalize(*SOURCES)
    assert code == 0
    for sentence in (
        f"{gz[0].relative_to(mine.folder)} is not a sound gzip file",
        f"{gz[1].relative_to(mine.folder)}: it is cut off in the middle: left for the next run",
        "order_lines.parquet is not a sound parquet file: export or copy it again.",
        "`LastName` is missing in landing/crm/contacts.csv: it is empty there; have it exported",
        "members.csv is not cp1252 text, the first undecodable byte is in line 2",
        "activity.ndjson is empty: export it again, or delete it.",
        "preferences.csv is empty: export it again, or delete it.",
    ):
        assert sentence in text
    assert mine.query(count) == before


def test_a_table_of_mostly_bad_rows_is_not_published(mine: Shop) -> None:
    tables = ("--select", "group:sources", "--select", "standardized/crm_contacts+")
    only = (*SOURCES, "--select", "standardized/crm_contacts")
    assert mine.personalize(*only)[0] == 0
    before = mine.hashes()["standardized.crm_contacts"]
    head, *rows = (mine.folder / CRM).read_text(encoding="utf-8").splitlines()
    broken = [row if n % 4 == 0 else row[row.index(",") :] for n, row in enumerate(rows)]
    (mine.folder / CRM).write_text("\n".join([head, *broken, ""]), encoding="utf-8")
    code, text = mine.personalize(*tables)
    assert code == 1
    assert text.count("standardized.crm_contacts was not published: of ") == 1
    assert "The previous table stands" in text
    assert "not run, for they need what failed: " in text
    assert mine.hashes()["standardized.crm_contacts"] == before
    assert not [t for t in mine.hashes() if t.startswith("identity.l")]


MISTAKES = [
    (
        "  loyalty_members:\n    desc",
        "  loyalty_members: [\n    desc",
        "is not readable YAML at line",
    ),
    ("time_zone: E", "timezone: E", "`sources.crm_contacts.timezone` is not a setting: did you"),
    ("      loyalty_members:\n", "      members:\n", "is not a standardized table: did you mean"),
    ("given_name: V", "givn_name: V", "is not a column of loyalty_members that can be filled"),
    ("encoding: cp1252", "encoding: cp125", "'cp125' is not an encoding, write it like utf-8"),
    ("split_part(locale, '-', 1)", "split_part(locale,", "is not a SQL expression that can be"),
    ("event_param(event_params, 'value')", "event_pram(event_params, 1)", "event_pram does not"),
    ("split_part(locale, '-', 1)", "(SELECT 1)", "must not read other tables"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), MISTAKES)
def test_a_mistake_in_sources_yaml_stops_before_anything_is_touched(
    tmp_path: Path, fresh_shop: Shop, old: str, new: str, sentence: str
) -> None:
    mine = Shop(tmp_path)
    text = (fresh_shop.folder / "sources.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "sources.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    code, said = mine.personalize(*SOURCES)
    assert code == 1
    assert sentence in said
    assert said.count("\n") == 1
    assert str(tmp_path / "sources.yaml") in said
    assert not mine.settings.warehouse_file.exists()


@pytest.mark.parametrize(
    ("options", "settings", "sentence"),
    [
        (("--as-of", "yesterday"), "", "'yesterday' is not a date or time: write it like"),
        (("--select", "profiles/golden"), "", "--select 'profiles/golden' names no table"),
        (("--select", "group:nothing"), "", "--select 'group:nothing' names no table"),
        (("--select", "key:(("), "", "--select 'key:((' names no table"),
        ((), "thread: 2", "`thread` is not a setting: did you mean `threads`"),
        ((), "threads: many", "`threads` is not valid: input should be a valid integer"),
        ((), "memory_limit: lots", "`memory_limit` is not valid"),
        ((), "identity: {sed: 1}", "`identity.sed` is not a setting"),
        ((), "base_currency: [", "is not readable YAML at line"),
    ],
)
def test_a_mistake_on_the_command_line_or_in_the_settings_is_one_sentence(
    tmp_path: Path,
    fresh_shop: Shop,
    options: tuple[str, ...],
    settings: str,
    sentence: str,
) -> None:
    mine = Shop(tmp_path)
    (tmp_path / "sources.yaml").write_bytes((fresh_shop.folder / "sources.yaml").read_bytes())
    code, said = mine.personalize(*options, settings=settings)
    assert code == 1
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("*.duckdb"))


HOLD = """
import duckdb, sys
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_run_beside_one_at_work_is_refused(tmp_path: Path, fresh_shop: Shop) -> None:
    mine = Shop(tmp_path)
    (tmp_path / "sources.yaml").write_bytes((fresh_shop.folder / "sources.yaml").read_bytes())
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(mine.settings.warehouse_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        code, said = mine.personalize(*SOURCES)
    finally:
        other.communicate()
    assert code == 1
    assert f"is held by process {other.pid} " in said
    assert mine.personalize(*SOURCES)[0] == 0


def test_a_mistake_in_a_campaign_leaves_the_mails_of_before(shop: Shop, tmp_path: Path) -> None:
    mine = shop.copy(tmp_path / "data")
    before = mine.hashes()
    mine.replace("campaigns/win_back/subject.liquid", "customer.", "custommer.")
    code, text = mine.personalize("--select", "emails/batches+")
    assert code == 1
    assert "subject.liquid line 1: there is no variable 'custommer', did you mean" in text
    mine.replace("campaigns/win_back/subject.liquid", "custommer.", "customer.")
    mine.replace("campaigns/abandoned_cart/campaign.yaml", "description:", "dscription:")
    code, text = mine.personalize("--select", "emails/audience")
    assert code == 1
    said = r"campaign\.yaml line \d+: dscription is not a known field, did you mean 'description'"
    assert re.search(said, text)
    assert mine.hashes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("present", "empty", "nothing"),
    [
        ("crm", "web_events", ""),
        ("web", "crm_contacts", "Nothing rendered, most often because of: no consent"),
        ("", "web_events", "nothing rendered, because no person fits the audience"),
    ],
)
def test_absent_sources_give_empty_tables_and_are_named(
    mine: Shop, present: str, empty: str, nothing: str
) -> None:
    landing = mine.folder / "landing"
    gone = [p for p in landing.iterdir() if p.name != present]
    for path in gone:
        path.rename(mine.folder / f"gone_{path.name}")
    code, text = mine.personalize("--quiet")
    assert code == 0, text
    assert "failed" not in text
    assert "no file matches landing/" in text
    listed = text.split("Empty, because no source gives it a row: ")[1].splitlines()[0]
    assert empty in listed.rstrip(".").split(", ")
    assert nothing in text
    assert mine.query(f"SELECT count(*) FROM standardized.{empty}") == [(0,)]
    assert mine.query("SELECT count(*) > 0 FROM profiles.golden_profiles") == [(bool(present),)]
