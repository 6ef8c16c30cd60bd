"""The contracts of the standardized tables as they count: as written, with the user's changes."""

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.contracts.overrides import all_with_settings
from personalization_assets.standardized import contracts
from personalization_assets.standardized.settings import StandardizedSettings

MODELS = (
    contracts.CrmContacts,
    contracts.LoyaltyMembers,
    contracts.Products,
    contracts.Preferences,
    contracts.WebEvents,
    contracts.Orders,
    contracts.OrderLines,
    contracts.EmailEvents,
    contracts.SocialActivity,
)
"""In the order in which they are built: some read tables that come before them."""


SETTINGS = "standardized.contracts"


def contracts_in_force(settings: StandardizedSettings) -> dict[str, Contract]:
    """Table name -> contract, for the nine tables that are fed by sources.

    Raises:
        UserError: the settings name a table, a rule or a parameter that is not there.
    """
    written = {contract.table: contract for contract in map(contract_of, MODELS)}
    return all_with_settings(written, settings.contracts, SETTINGS)
