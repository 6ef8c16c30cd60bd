"""The golden-liquid suite: compiled code makes of each case what python-liquid makes of it."""

import json
from datetime import datetime
from typing import Any

import pytest
from liquid import DictLoader, Environment, Mode
from liquid.exceptions import LiquidError

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import BatchEnvironment
from personalization_tests.benchmarks.measure import NO_SHARED_DATA, shared_data

Made = tuple[str | None, str | None]
"""A text, or the kind of failure."""


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    folder = shared_data()
    if folder is None or not (folder / "golden-liquid").is_dir():
        pytest.skip(NO_SHARED_DATA)
    text = (folder / "golden-liquid" / "golden_liquid.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text)["tests"]
    return found


def environment(kind: str, html: bool, partials: dict[str, str]) -> Environment:
    if kind == "as it comes":
        return Environment(loader=DictLoader(partials), tolerance=Mode.STRICT, autoescape=html)
    return BatchEnvironment(
        html=html,
        now=datetime(2026, 11, 1),
        profile=kind,
        partials=partials,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
@pytest.mark.parametrize("kind", ["as it comes", "python-liquid", "shopify"])
def test_golden_cases_come_out_as_python_liquid_renders_them(
    cases: list[dict[str, Any]], kind: str, html: bool
) -> None:
    parsed = compiled_whole = without_help = 0
    for case in cases:
        env = environment(kind, html, case.get("templates", {}))
        try:
            template = env.from_string(case["template"])
        except LiquidError:
            continue  # one of the suite's invalid templates
        data = case.get("data", {})
        wanted = reference(template, data)
        compiled = liquid_batch.compile(template)
        for turn in ("first", "from memory"):
            done = compiled.render_rows([data])[0]
            made = (done.text, failure(done.reason))
            assert made == wanted, f"{case['name']}, {turn}: {case['template']}"
        parsed += 1
        compiled_whole += compiled.report.compiled
        without_help += compiled.report.sent_back == 0 or wanted[0] is None
    assert parsed > 900
    assert compiled_whole >= 0.99 * parsed
    assert without_help >= 0.99 * parsed


def reference(template: Any, data: dict[str, Any]) -> Made:
    try:
        return template.render(data), None
    except Exception as error:
        return None, type(error).__name__


def failure(reason: str | None) -> str | None:
    return reason.split(" ")[0] if reason else None
