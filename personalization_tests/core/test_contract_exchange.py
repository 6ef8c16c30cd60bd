"""What others read of a contract follows the standard; what people read says what counts."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from personalization_assets.cli import main
from personalization_assets.contracts.exchange import odcs_yaml
from personalization_assets.definitions import contracts_of
from personalization_assets.settings import load_settings

SCHEMA = Path(__file__).parent / "odcs-json-schema-v3.1.0.json"
"""https://github.com/bitol-io/open-data-contract-standard, Apache-2.0."""


def test_every_contract_follows_the_open_data_contract_standard(tmp_path: Path) -> None:
    validator = jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text()))
    contracts = contracts_of(load_settings(data_dir=tmp_path / "none", sources_yaml=sources()))
    assert {"standardized.orders", "profiles.golden_profiles", "audits.drift"} <= set(contracts)
    for name, contract in contracts.items():
        document = yaml.safe_load(odcs_yaml(contract))
        assert [e.message for e in validator.iter_errors(document)] == [], name
    orders = yaml.safe_load(odcs_yaml(contracts["standardized.orders"]))["schema"][0]
    columns = {c["name"]: c for c in orders["properties"]}
    assert columns["order_id"]["logicalTypeOptions"] == {"minLength": 1, "maxLength": 200}
    assert columns["order_id"]["primaryKeyPosition"] == 2
    known = next(q for q in columns["status"]["quality"] if q["name"] == "status.known")
    assert known["arguments"]["validValues"][0] == "completed"
    assert known["severity"] == "warning"
    assert {q["metric"] for q in orders["quality"] if q["name"] == "key.unique"} == {
        "duplicateValues"
    }


def sources() -> Path:
    return Path(__file__).resolve().parents[2] / "data" / "sources.yaml"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "settings.yaml"
    file.write_text(
        f"sources_yaml: {sources()}\n"
        "standardized:\n  contracts:\n    orders:\n      rules:\n"
        "        status.known: {severity: error, limit: 0.1}\n"
        "        postcode.shape: {severity: off}\n"
    )
    monkeypatch.setenv("PERSONALIZE_SETTINGS", str(file))
    return file


def test_a_contract_shows_what_the_settings_changed(settings: Path) -> None:
    code, shown = run("contracts", "show", "orders")
    assert code == 0
    assert "status.known *" in shown
    assert "10.0%" in shown
    assert "Not asked, by the settings: postcode.shape." in shown


def test_records_of_a_file_are_judged_line_by_line(settings: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson"
    good = {"order_id": "1", "ordered_at": "2026-01-01T00:00Z", "currency": "EUR"}
    rows = [good | {"status": "completed"}, good | {"status": "lost"}, {}]
    file.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n")
    code, said = run("contracts", "validate", "orders", str(file))
    assert code == 1
    assert "3 records: 1 accepted, 2 rejected" in said
    assert "status.known: 1 (error: status is one of" in said
    assert "line 2: status.known\n" in said
    assert "line 3: currency.required, order_id.required" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "order"], "order is no table with a contract: did you mean orders?"),
        (["show", "evaluation"], "evaluation is the name of several tables: write one of"),
        (["validate", "orders", "/nowhere.ndjson"], "/nowhere.ndjson cannot be read: No such"),
    ],
)
def test_a_mistake_is_one_sentence(settings: Path, arguments: list[str], sentence: str) -> None:
    code, said = run("contracts", *arguments)
    assert code == 1
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["[1]", "{", "nonsense", '{"a": \ud800}', "[" * 100_000])
def test_what_is_no_record_is_one_sentence(settings: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_bytes(text.encode(errors="surrogatepass"))
    code, said = run("contracts", "validate", "orders", str(file))
    assert code == 1
    assert said.count("\n") == 1
