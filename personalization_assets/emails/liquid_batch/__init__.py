"""Liquid for batches: a template compiled to one Python function that runs over Arrow columns.

What belongs here: the compiler and what it needs at run time. What does not: mails, campaigns,
Dagster and the warehouse; the package is usable without them.

>>> import datetime as dt, pyarrow as pa
>>> from personalization_assets.emails import liquid_batch
>>> env = liquid_batch.BatchEnvironment(html=True, now=dt.datetime(2026, 11, 1))
>>> people = pa.record_batch({"customer": [{"name": "Zoë <3"}, {"name": None}]})
>>> parsed = env.from_string("Hello {{ customer.name | default: 'you' }},")
>>> hello = liquid_batch.compile(parsed, contract={"customer": people.schema.field(0).type})
>>> hello.render(people).column("text").to_pylist()
['Hello Zoë &lt;3,', 'Hello you,']

python-liquid parses templates and stays the reference: the text, or the failure, of every row is
the one that `parsed.render(...)` gives. How:

- `survey.py` looks over the tree; `names.py` and `scope.py` find what each name means;
  `expressions.py`, `nodes.py`, `loops.py` and `partials.py` write Python; `emitter.py` holds it.
- Paths become columns, constants are folded, and what a filter or the body of a loop came to is
  kept for the next row with the same values (`runtime.Memo`).
- `template.py` runs the function and sends rows on which it raises to python-liquid; `texts.py` is
  where the texts go.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from liquid.template import BoundTemplate

from personalization_assets.emails.liquid_batch.columns import Columns, Dictionaries
from personalization_assets.emails.liquid_batch.environment import (
    AbortMail,
    BatchEnvironment,
    Limits,
)
from personalization_assets.emails.liquid_batch.report import LoopReport, Report
from personalization_assets.emails.liquid_batch.scope import Where, line_of
from personalization_assets.emails.liquid_batch.template import (
    RESULT,
    CompiledTemplate,
    Rendered,
    TooSlowError,
)


def compile(  # the name is that of `re.compile`
    template: BoundTemplate,
    contract: Mapping[str, pa.DataType] | None = None,
    constants: Mapping[str, Any] | None = None,
    where: Where = line_of,
) -> CompiledTemplate:
    """Compile a parsed template.

    `contract` gives the Arrow type of each column (root) that rows have; without one, rows are
    mappings of anything and go to `CompiledTemplate.render_rows`. `constants` are roots that are
    the same in every row; a root may have constant fields and columns beside them. `where` says for
    reports and errors where a template's text is written, if it was made of other files.
    """
    return CompiledTemplate(template, contract, constants or {}, where)


__all__ = [
    "RESULT",
    "AbortMail",
    "BatchEnvironment",
    "Columns",
    "CompiledTemplate",
    "Dictionaries",
    "Limits",
    "LoopReport",
    "Rendered",
    "Report",
    "TooSlowError",
    "Where",
    "compile",
]
