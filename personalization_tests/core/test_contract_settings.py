"""A settings file changes severities, parameters and limits; a mistake in it is one sentence."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.errors import UserError
from personalization_assets.settings import load_settings
from personalization_assets.standardized.contracts import Orders
from personalization_assets.standardized.in_force import contracts_in_force
from personalization_assets.tables import Clock, Run, table_asset
from personalization_assets.warehouse import Warehouse

CHANGED = """
standardized:
  contracts:
    orders:
      reject_limit: 0.5
      rules:
        total_amount.range: {severity: warning, max: 100}
        status.known: {severity: error, values: [completed, shipped]}
        currency.stale_rate: {severity: off}
        currency.no_rate: {limit: 0.25}
"""


def in_force(folder: Path, text: str) -> dict[str, Contract]:
    (folder / "settings.yaml").write_text(text)
    return contracts_in_force(load_settings(folder / "settings.yaml").standardized)


def orders(**columns: list[object]) -> pl.DataFrame:
    rows = len(columns["order_id"])
    contract = contract_of(Orders)
    plain: dict[str, object] = {
        "source": "s",
        "_batch_id": "b",
        "_row_key": "k",
        "currency": "EUR",
        "status": "completed",
        "_flags": [],
    }
    return pl.DataFrame(
        {
            name: columns.get(name, [plain.get(name)] * rows)
            for name in contract.schema
            if name != "ordered_at"
        },
        schema_overrides={n: t for n, t in contract.schema.items() if n != "ordered_at"},
    ).with_columns(ordered_at=pl.datetime(2026, 1, 1).cast(pl.Datetime("us")))


def test_rules_are_changed_without_python(tmp_path: Path) -> None:
    contract = in_force(tmp_path, CHANGED)["orders"]
    audit = contract.audit(
        orders(
            order_id=["a", "b", "c", "d"],
            total_amount=[5.0, 500.0, 5.0, 5.0],
            status=["completed", "completed", "lost", "shipped"],
            _flags=[[], [], [], ["currency.stale_rate"]],
        )
    )
    assert audit.accepted["order_id"].to_list() == ["a", "b", "d"]
    assert audit.accepted["_flags"].to_list() == [
        [],
        ["total_amount.range"],
        ["currency.stale_rate"],
    ]
    assert audit.rejected["reasons"].to_list() == [["status.known"]]
    rules = {r.name: r for r in contract.rules}
    assert "currency.stale_rate" not in rules
    assert rules["total_amount.range"].description == ("total_amount is between -10000000 and 100")
    assert contract.reject_limit == 0.5
    assert contract_of(Orders).reject_limit == 0.2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("order: {}", "`standardized.contracts.order` is not a table: did you mean orders?"),
        (
            "orders: {rules: {status.know: {severity: error}}}",
            "`standardized.contracts.orders.rules.status.know` is not a rule of "
            "standardized.orders: did you mean status.known?",
        ),
        (
            "orders: {rules: {total_amount.range: {maximum: 3}}}",
            "`standardized.contracts.orders.rules.total_amount.range` has no parameter maximum: "
            "it has min, max.",
        ),
        (
            "orders: {rules: {total_amount.range: {max: many}}}",
            "`standardized.contracts.orders.rules.total_amount.range`: max",
        ),
        (
            "orders: {rules: {total_amount.range: {min: 5, max: 3}}}",
            "min 5 lies above max 3.",
        ),
        (
            "orders: {rules: {country.pattern: {pattern: '(?i)de'}}}",
            "only `(?:` is allowed.",
        ),
        (
            "orders: {rules: {order_id.required: {severity: warning}}}",
            "must be an error: later tables count on it.",
        ),
        ("orders: {rules: {key.unique: {severity: off}}}", "must be an error"),
        ("orders: {rules: {ordered_at.type: {severity: off}}}", "Make it a warning."),
        ("orders: {rules: {email.type: {max: 3}}}", "has no parameters: remove max."),
        ("orders: {reject_limit: 3}", "`standardized.contracts.orders.reject_limit`"),
        ("orders: {rules: {email.type: {limit: -1}}}", "limit` is not valid"),
        ("orders: {rules: {email.type: {severity: fatal}}}", "severity` is not valid"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, settings: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        in_force(tmp_path, f"standardized:\n  contracts:\n    {settings}\n")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_of_its_own_limit_stops_the_publish(tmp_path: Path) -> None:
    contract = in_force(tmp_path, CHANGED)["orders"]

    def run(flagged: int) -> dg.ExecuteInProcessResult:
        rows = orders(
            order_id=list("abcd"),
            _flags=[["currency.no_rate"]] * flagged + [[]] * (4 - flagged),
        )

        @table_asset(contract=contract, on_rejected=lambda run, contract, rejected: None)
        def build(_: Run) -> pl.DataFrame:
            return rows

        return dg.materialize(
            [build],
            resources={
                "warehouse": Warehouse(database=str(tmp_path / "w.duckdb")),
                "clock": Clock(as_of="2026-11-01"),
                "settings": load_settings(tmp_path / "settings.yaml"),
            },
            raise_on_error=False,
        )

    assert run(flagged=1).success
    stopped = run(flagged=2)
    assert not stopped.success
    failure = stopped.failure_data_for_node("standardized__orders")
    assert failure
    assert failure.user_failure_data
    assert "the limit of currency.no_rate is 25.00%" in str(failure.user_failure_data.description)
    evaluation = next(
        e for e in stopped.get_asset_check_evaluations() if e.check_name == "currency__no_rate"
    )
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
