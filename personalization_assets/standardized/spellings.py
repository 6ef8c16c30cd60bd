"""`labels.yaml`: how the user wants categories to be spelled.

```yaml
categories:
  Home & Garden: [Haus und Garten, home-garden, H&G]
```
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import yaml

from personalization_assets.errors import UserError
from personalization_assets.standardized.normalise.labels import spelling_key


def load_spellings(path: Path) -> dict[str, str]:
    """Spelling keys of every listed form to the wanted label; empty without a file.

    Raises:
        UserError: the file is not YAML of the form shown above.
    """
    if not path.exists():
        return {}
    advice = "write `categories:` with one `Wanted label: [other spelling, ...]` per line"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UserError(f"{path} is not readable YAML: {advice}.") from None
    if raw is None:
        return {}
    categories = raw.get("categories") if isinstance(raw, Mapping) else None
    if not isinstance(categories, Mapping):
        raise UserError(f"{path} has no `categories`: {advice}.")
    found: dict[str, str] = {}
    for wanted, forms in categories.items():
        if forms is not None and not isinstance(forms, list):
            raise UserError(f"{path}: `categories.{wanted}` is no list: {advice}.")
        names = pl.Series([str(n) for n in [wanted, *(forms or [])]], dtype=pl.String)
        for key in spelling_key(names).to_list():
            if found.setdefault(key, str(wanted)) != str(wanted):
                raise UserError(
                    f"{path}: one spelling stands under both '{found[key]}' and '{wanted}': "
                    f"keep one of them."
                )
    return found
