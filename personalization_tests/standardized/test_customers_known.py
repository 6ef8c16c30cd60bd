"""Orders and customers name accounts alike, or the check says where to look."""

from pathlib import Path

import dagster as dg
import pytest

from personalization_assets.standardized.checks import customer_is_known
from personalization_assets.warehouse import Warehouse

ORDERS = "('shop:1', 'r'), ('shop:2', 'r'), (NULL, NULL)"


@pytest.mark.parametrize(
    ("contacts", "members", "passed", "unknown"),
    [
        (["shop:1"], [], True, 1),
        ([], ["shop:2"], True, 1),
        (["crm:1", "crm:2"], [], False, 2),  # mapped with another system
        ([None], [], True, 2),  # contacts know no accounts at all
        (None, None, True, 2),
    ],
)
def test_orders_find_their_customers(
    tmp_path: Path,
    contacts: list[str | None] | None,
    members: list[str | None] | None,
    passed: bool,
    unknown: int,
) -> None:
    warehouse = Warehouse(database=str(tmp_path / "w.duckdb"))
    with warehouse.connect() as con:
        con.execute("CREATE SCHEMA standardized").fetchall()
        con.execute(
            "CREATE TABLE standardized.orders AS"
            f" SELECT * FROM (VALUES {ORDERS}) AS o(account_key, record_id)"
        ).fetchall()
        for table, accounts in (("crm_contacts", contacts), ("loyalty_members", members)):
            if accounts is not None:
                con.execute(f"CREATE TABLE standardized.{table} (account_key VARCHAR)").fetchall()
                for account in accounts:
                    con.execute(
                        f"INSERT INTO standardized.{table} VALUES (?)", [account]
                    ).fetchall()
    result = customer_is_known(warehouse)
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is passed
    assert result.metadata["rows_of_unknown_accounts"].value == unknown
    assert result.metadata["rows_of_nobody"].value == 1
    assert ("account_system" in (result.description or "")) is not passed
