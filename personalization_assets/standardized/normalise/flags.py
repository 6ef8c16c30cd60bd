"""Yes and no in the words that systems and people use for them."""

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct

YES = (
    *("1", "1.0", "true", "t", "yes", "y", "ja", "j", "oui", "o", "si", "sí", "sim", "tak", "on"),
    *("x", "✓", "wahr", "vrai", "opt-in", "optin", "opted in", "opted-in", "opted_in", "in"),
    *("subscribed", "subscribe", "granted", "given", "accepted", "agreed", "active", "enabled"),
    *("double-opt-in", "double opt-in", "confirmed", "aktiv", "actif"),
)
NO = (
    *("0", "0.0", "false", "f", "no", "n", "nein", "non", "não", "nao", "nie", "nee", "off"),
    *("falsch", "faux", "opt-out", "optout", "opted out", "opted-out", "opted_out", "out"),
    *("unsubscribed", "unsubscribe", "denied", "declined", "refused", "withdrawn", "revoked"),
    *("inactive", "disabled", "inaktiv", "inactif", "pending", "unconfirmed"),
)
WORDS: dict[str, bool] = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)


def boolean(values: pl.Series) -> pl.Series:
    """True or false; null when the word is neither. A consent that is pending is none."""
    return map_distinct(
        values,
        lambda distinct: distinct.str.to_lowercase().replace_strict(
            WORDS, default=None, return_dtype=pl.Boolean
        ),
    )
