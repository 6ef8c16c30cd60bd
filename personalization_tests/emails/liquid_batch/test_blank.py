"""`blank` in Shopify's profile: nil, false and what is not there are blank, compiled or not."""

from datetime import datetime
from typing import Any

import pytest

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import BatchEnvironment
from personalization_assets.emails.liquid_batch.environment import Profile

TEXT = (
    "{% if x == blank %}a{% endif %}{% if x != blank %}b{% endif %}{% if blank == x %}c{% endif %}"
    "{% case x %}{% when 'z', blank %}d{% else %}e{% endcase %}"
    "{% unless x == blank %}f{% endunless %}{% render 'part', x: x %}"
)
PARTS = {"part": "{% if x == blank and true %}i{% endif %}"}
BLANK, FILLED = "acdi", "bef"


def renders(profile: Profile, value: Any) -> list[str]:
    env = BatchEnvironment(now=datetime(2026, 1, 1), profile=profile, partials=PARTS)
    template = env.from_string(TEXT)
    compiled = liquid_batch.compile(template)
    rendered = compiled.render_rows([{"x": value}])[0]
    return [template.render(x=value), str(rendered.text)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, BLANK),
        (False, BLANK),
        ("", BLANK),
        (" \n", BLANK),
        ([], BLANK),
        (True, FILLED),
        (0, FILLED),
        ("x", FILLED),
        ([None], FILLED),
    ],
)
def test_what_is_blank(value: Any, expected: str) -> None:
    assert renders("shopify", value) == [expected, expected]


def test_python_liquid_stays_as_it_comes() -> None:
    assert renders("python-liquid", None) == [FILLED, FILLED]
