"""How old the tables that people act on may become before Dagster says so.

Only where somebody would do something about it: the profiles that other teams read, the lists that
go into mails, and the mails themselves. What lies upstream of a stale table is shown by the graph.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

import dagster as dg

# The refresh is nightly: one that is late is worth a look, two nights missed are a failure.
_NIGHTLY = dg.FreshnessPolicy.time_window(
    warn_window=dt.timedelta(hours=26), fail_window=dt.timedelta(hours=50)
)

FRESHNESS: Mapping[str, dg.FreshnessPolicy] = {
    "profiles/golden_profiles": _NIGHTLY,
    "recommendations/top_products": _NIGHTLY,
    # Mails carry prices, stock and open carts of the day: a batch of yesterday must not go out.
    "emails/batches": dg.FreshnessPolicy.time_window(
        warn_window=dt.timedelta(hours=25), fail_window=dt.timedelta(hours=30)
    ),
}
"""Asset key as `room/table` -> its policy."""


def with_freshness(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets, those that `FRESHNESS` names with their policy."""

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        policy = FRESHNESS.get("/".join(spec.key.path))
        return spec.replace_attributes(freshness_policy=policy) if policy else spec

    return [asset.map_asset_specs(apply) for asset in assets]
