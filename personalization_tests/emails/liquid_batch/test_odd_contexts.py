"""A whole mail for 10,000 people whose data are odd: parts missing, or of any other type."""

import random
from datetime import datetime

import pytest

from personalization_assets.emails import liquid_batch
from personalization_tests.benchmarks import mails
from personalization_tests.emails.liquid_batch.data import odd
from personalization_tests.emails.liquid_batch.fuzz import merged, wanted

PEOPLE = 10_000


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["shopify", "python-liquid"])
def test_a_mail_for_odd_people_comes_out_as_in_python_liquid(
    profile: liquid_batch.environment.Profile,
) -> None:
    template = mails.environment(profile).from_string(mails.html())
    compiled = liquid_batch.compile(template, None, mails.CONSTANTS)
    rng = random.Random(datetime(2026, 11, 1).toordinal())
    rendered = 0
    for batch in mails.batches(PEOPLE // 2):
        rows = [
            {k: odd(rng, v, share, k) for k, v in row.items() if rng.random() > share}
            for row in batch.to_pylist()
            for share in [rng.choice((0.01, 0.03, 0.1))]
        ]
        for row, done in zip(rows, compiled.render_rows(rows), strict=True):
            want = wanted(template, merged(mails.CONSTANTS, row))
            assert (done.status, done.text, done.reason, done.holes) == want, row
            rendered += done.status == "rendered"
    assert rendered > PEOPLE // 8, "enough mails are compared by their text"
