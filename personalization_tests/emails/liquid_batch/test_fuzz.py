"""Random templates and rows: compiled code gives what python-liquid gives."""

import os
from collections import Counter

import pytest

from personalization_tests.emails.liquid_batch.fuzz import search, smaller, told

TEMPLATES = int(os.environ.get("FUZZ_TEMPLATES", "4000"))
"""4,000 take about 25 CPU seconds; `.ci/run` asks for more, and `fuzz.py` searches on by hand."""
PARTS = 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_templates_render_as_python_liquid_renders_them(part: int) -> None:
    seen: Counter[str] = Counter()
    size = TEMPLATES // PARTS
    for seed, case, trouble in search(range(part * size, (part + 1) * size), seen):
        less = smaller(case)
        pytest.fail(f"{trouble}\n{told(seed, less, 'made smaller')}")
    assert seen["templates"] > 0.8 * size, "most templates are Liquid"
    assert seen["compiled"] > 0.9 * seen["templates"], "most of them are compiled"
    assert seen["failed"] < 0.2 * seen["rows"], "most rows render"
