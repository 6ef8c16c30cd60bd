"""Files that people open in a spreadsheet run nothing there, and come back as they were."""

import csv
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.identity.decisions import COLUMNS, read_decisions
from personalization_assets.kept_by_hand import read_frame, read_rows, write_rows

HOSTILE = ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "'=x", "''-y", "=cmd|' /C calc'!A0"]
HARMLESS = ["-5", "+49301234567", "anna", "O'Neil", "a=b", "'quoted'"]


def test_what_would_be_run_is_guarded_and_what_would_not_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    write_rows(path, ["cell"], [{"cell": c} for c in (*HOSTILE, *HARMLESS)])
    written = path.read_text(encoding="utf-8").splitlines()[1:]
    assert written[: len(HOSTILE)] == [f"'{c}" for c in HOSTILE]
    assert written[len(HOSTILE) :] == HARMLESS
    assert read_frame(path, ["cell"], ["cell"], [])["cell"].to_list() == [*HOSTILE, *HARMLESS]


cells = st.text(st.sampled_from("=+-@'\ta1,\"\n"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(cells, max_size=5))
def test_every_cell_comes_back(received: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.csv"
        write_rows(path, ["a", "b"], [{"a": c, "b": "x"} for c in received])
        assert [row["a"] for row in read_rows(path, ["a"])[1]] == received
        with path.open(encoding="utf-8", newline="") as file:
            assert not [cell for row in csv.reader(file) for cell in row if cell[:1] in {"=", "@"}]


def test_identity_finds_the_record_of_a_guarded_id(tmp_path: Path) -> None:
    path = tmp_path / "identity_decisions.csv"
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "decision_id": "d1",
        "verdict": "same",
        "source_l": "crm",
        "record_id_l": "=A1",
        "source_r": "shop",
        "record_id_r": "-B2",
        "decided_at": "2026-10-20",
        "author": "ann",
    }
    write_rows(path, list(row), [row])
    assert "'=A1" in path.read_text(encoding="utf-8")
    found = read_decisions(path)
    assert found.select("record_id_l", "record_id_r").rows() == [("=A1", "-B2")]
