"""What the Dagster UI shows: every asset has what a person needs to know about it."""

import dagster as dg
import pytest

from personalization_assets.definitions import build_definitions
from personalization_assets.settings import Settings

ROOMS = {
    "sources",
    "standardized",
    "identity",
    "profiles",
    "recommendations",
    "emails",
    "feedback",
    "audits",
    "serving",
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(Settings())


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_the_definitions_load(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_every_asset_says_what_it_is(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.group_name == spec.key.path[0] in ROOMS, name
        assert spec.owners, name
        assert spec.kinds, name
        assert "Grain:" in (spec.description or ""), name
        assert "Key:" in (spec.description or ""), name


def test_every_table_has_a_column_schema_with_descriptions(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        if spec.key.path[0] == "serving" or spec.key.path == ["audits", "report"]:
            continue  # files
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert schema.columns
        undescribed = [c.name for c in schema.columns if not c.description]
        assert not undescribed, f"{spec.key.to_user_string()}: {undescribed}"


def test_no_asset_waits_for_one_that_does_not_exist(specs: list[dg.AssetSpec]) -> None:
    keys = {spec.key for spec in specs}
    dangling = {
        f"{spec.key.to_user_string()} <- {dep.asset_key.to_user_string()}"
        for spec in specs
        for dep in spec.deps
        if dep.asset_key not in keys
    }
    assert not dangling


def test_personal_tables_are_tagged(specs: list[dg.AssetSpec]) -> None:
    tagged = {s.key.to_user_string() for s in specs if s.tags.get("pii") == "true"}
    assert {
        "standardized/crm_contacts",
        "identity/records",
        "profiles/golden_profiles",
        "emails/batches",
    } <= tagged
