"""A model carries the SQL by which Splink predicts; it counts only while nothing has changed."""

import json
import subprocess
import sys
from pathlib import Path

from personalization_assets.identity.model import Model

SCORE = """
import sys
from pathlib import Path
import duckdb
from personalization_assets.identity.model import Model
model = Model.from_json(Path(sys.argv[1]).read_text())
assert model.prediction.sql
print("splink" in sys.modules)
"""


def loads_splink(model: Path) -> bool:
    """Whether a fresh process needs Splink for the model's prediction."""
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(model)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"


def test_a_model_from_its_file_predicts_without_splink(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(model.to_json())
    assert not loads_splink(path)
    without = json.loads(path.read_text())
    del without["prediction"]
    path.write_text(json.dumps(without))
    assert loads_splink(path)
    assert Model.from_json(path.read_text()).prediction == model.prediction


def test_what_is_kept_gives_way_when_the_model_is_another(model: Model) -> None:
    raw = json.loads(model.to_json())
    raw["share"] = model.share * 2
    changed = Model.from_json(json.dumps(raw)).prediction
    assert changed.made_from != model.prediction.made_from
    assert changed.sql != model.prediction.sql
