"""Mails of the shipped campaigns, scenario by scenario, against how they looked when somebody last
looked at them: `snapshots/<campaign>/<variant>/<scenario>.txt`.

After a wanted change, write them anew and look at the difference:

    UPDATE_SNAPSHOTS=1 pytest personalization_tests/emails/test_snapshots.py
    git diff personalization_tests/emails/snapshots

What a text can't show is in pictures: `python -m personalization_tests.emails.screenshots`.
"""

import difflib
import os
from pathlib import Path

import pytest

from personalization_tests.emails.outline import snapshot
from personalization_tests.emails.studios import CAMPAIGNS, studio

FOLDER = Path(__file__).with_name("snapshots")
VARIANTS = [(c.name, v.name) for c in CAMPAIGNS.values() for v in c.file.variants]
SHOWN = 3
AGAIN = (
    "Look at the mails (`personalize campaign preview {campaign}`). If they are as they should be: "
    "UPDATE_SNAPSHOTS=1 pytest personalization_tests/emails/test_snapshots.py"
)


@pytest.mark.parametrize(("campaign", "variant"), VARIANTS)
def test_mails_look_as_they_did(campaign: str, variant: str) -> None:
    folder = FOLDER / campaign / variant
    made = studio(campaign)
    fresh = {
        f"{mail.key}.txt": snapshot(mail.title, mail.row)
        for mail in made.mails(made.found.scenarios)
        if mail.row["variant"] == variant
    }
    kept = {p.name: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.txt"))}
    if os.environ.get("UPDATE_SNAPSHOTS"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in kept.keys() - fresh.keys():
            (folder / name).unlink()
        for name, text in fresh.items():
            (folder / name).write_text(text, encoding="utf-8")
        return
    changed = [
        name for name in sorted(fresh.keys() | kept.keys()) if fresh.get(name) != kept.get(name)
    ]
    if changed:
        differences = [
            _difference(name, kept.get(name, ""), fresh.get(name, "")) for name in changed
        ]
        pytest.fail(
            f"{len(changed)} mails of {campaign}, variant {variant}, have changed: "
            f"{', '.join(changed)}\n\n"
            + "\n".join(differences[:SHOWN])
            + "\n"
            + AGAIN.format(campaign=campaign),
            pytrace=False,
        )


def _difference(name: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{name} as kept", f"{name} now", lineterm="", n=2
    )
    return "\n".join(list(lines)[:60])


def test_a_changed_word_and_a_changed_size_are_both_seen() -> None:
    made = studio("win_back")
    mail = made.mails(made.found.scenarios[:1])[0]
    row = dict(mail.row)
    before = snapshot(mail.title, row)
    worded = snapshot(mail.title, row | {"html": row["html"].replace("a while", "a year")})
    sized = snapshot(mail.title, row | {"html": row["html"].replace("18px", "19px", 1)})
    assert "+it has been a year" in _difference("x", before, worded)
    assert "+HTML:      sha256" in _difference("x", before, sized)
