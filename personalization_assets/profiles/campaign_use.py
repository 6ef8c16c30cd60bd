"""Which data points each campaign uses: in its audience, and in its templates."""

import re
from collections.abc import Collection
from pathlib import Path

import yaml

from personalization_assets.errors import UserError

ROOTS: dict[str, tuple[str, ...]] = {
    "cart": ("open_cart", "consent_personalisation"),
    "viewed": ("last_viewed_products", "consent_personalisation"),
    "recommendations": ("consent_personalisation",),
    "first_name": ("given_name",),
}
"""What templates say, and the data points behind it."""

ALWAYS = ("email", "consent_email_marketing")
"""Without these nobody gets a mail."""

BEHIND: dict[str, str] = {"age_band": "birth_date", "region_name": "region"}
"""Data points that follow from another one, which is the one to collect."""


def campaign_use(folder: Path, data_points: Collection[str]) -> dict[str, list[str]]:
    """Data points, and the names of the campaigns that use each.

    Names are looked for as words in audiences and templates, and in the shared blocks that a
    template names. A template that is broken still counts: what it wants to say is what matters.

    Raises:
        UserError: a campaign's file is not readable YAML.
    """
    blocks = {p.stem: _text(p) for p in sorted((folder / "_blocks").glob("*")) if p.is_file()}
    used: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/campaign.yaml")):
        if path.parent.name.startswith("_"):
            continue
        try:
            about = yaml.safe_load(_text(path)) or {}
        except yaml.YAMLError:
            raise UserError(f"{path} is not readable YAML: correct it.") from None
        about = about if isinstance(about, dict) else {}
        templates = "\n".join(
            _text(p) for p in sorted(path.parent.iterdir()) if p.is_file() and p != path
        )
        open_blocks = dict(blocks)
        while named := [b for b in open_blocks if re.search(rf"['\"/]{b}(\.\w+)?['\"]", templates)]:
            templates += "\n".join(open_blocks.pop(block) for block in named)
        words = set(re.findall(r"[a-z_0-9]+", str(about.get("audience", ""))))
        words |= set(re.findall(r"\bcustomer\.([a-z_0-9]+)", templates))
        for root, points in ROOTS.items():
            if re.search(rf"\b{root}\b", templates):
                words |= set(points)
        if about.get("needs_personalisation"):
            words.add("consent_personalisation")
        words |= set(ALWAYS)
        words |= {BEHIND[word] for word in words if word in BEHIND}
        for word in words & set(data_points):
            used.setdefault(word, []).append(path.parent.name)
    return used


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
