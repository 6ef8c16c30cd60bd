"""Labels in one spelling: closed lists with their synonyms, and open ones such as categories."""

from collections.abc import Mapping

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct


def _synonyms(**words: str) -> dict[str, str]:
    """From `target="word word"` to a map from each word, and from the target, to the target."""
    return {word: target for target, listed in words.items() for word in [target, *listed.split()]}


GENDER = _synonyms(
    female="f w weiblich woman frau femme féminin feminin mujer vrouw donna girl mrs ms miss mme "
    "mlle fräulein signora",
    male="m männlich mannlich maennlich man mann homme masculin hombre uomo boy mr herr hr "
    "monsieur señor senor signor dhr",
    other="o d divers diverse x nonbinary non_binary nb third autre",
)
TIER = _synonyms(
    bronze="bronce basic", silver="silber argent", gold="or oro", platinum="platin platine plat"
)
FREQUENCY = _synonyms(
    daily="day every_day täglich taeglich quotidien",
    weekly="week every_week wöchentlich woechentlich hebdomadaire",
    monthly="month every_month monatlich mensuel",
)
ORDER_STATUS = _synonyms(
    completed="complete done paid shipped delivered fulfilled closed success ok abgeschlossen "
    "bezahlt versendet geliefert",
    pending="open new processing on_hold in_progress authorized awaiting_payment created offen neu",
    cancelled="canceled cancel voided void failed storniert abgebrochen",
    refunded="refund returned return erstattet retoure",
)
WEB_EVENT = _synonyms(
    page_view="pageview page screen_view page_viewed",
    view_item="product_view view_product product_viewed viewed_product item_view product_detail",
    search="view_search_results site_search searched",
    add_to_cart="addtocart cart_add added_to_cart product_added",
    remove_from_cart="removefromcart cart_remove removed_from_cart product_removed",
    begin_checkout="checkout checkout_started started_checkout",
    purchase="order_completed order transaction placed_order",
    login="sign_in signin log_in logged_in",
    sign_up="signup register registration signed_up",
)
EMAIL_EVENT = _synonyms(
    processed="accepted sent send queued",
    delivered="delivery",
    open="opened opens",
    click="clicked clicks",
    bounce="bounced failed hard_bounce soft_bounce blocked",
    dropped="drop rejected suppressed",
    spam_report="spamreport spam complaint complained abuse",
    unsubscribe="unsubscribed group_unsubscribe optout opt_out",
)
BOUNCE = _synonyms(
    hard="bounce permanent hard_bounce hardbounce h",
    soft="blocked block temporary transient soft_bounce softbounce s",
)
ACTIVITY = _synonyms(
    follow="followed follows",
    like="liked likes favorite favourite reaction",
    comment="commented comments reply replied",
    share="shared shares repost retweet",
    mention="mentioned mentions tag tagged",
)
DEVICE = _synonyms(
    desktop="pc computer web laptop",
    mobile="phone smartphone cell handset iphone android",
    tablet="ipad tab",
)


def label(values: pl.Series, synonyms: Mapping[str, str]) -> pl.Series:
    """A label in lower case with underscores, synonyms replaced; unknown labels are kept."""
    return map_distinct(
        values,
        lambda distinct: _slug(distinct).replace(dict(synonyms)),
    )


def only_known(values: pl.Series, synonyms: Mapping[str, str]) -> pl.Series:
    """Like `label`, but null for what is neither a synonym nor one of their targets."""
    known = set(synonyms.values())
    labels = label(values, synonyms)
    return labels.set(~labels.is_in(sorted(known)).fill_null(value=True), None)


def _slug(values: pl.Series) -> pl.Series:
    slugs = values.str.to_lowercase().str.replace_all(r"[\s\-./]+", "_").str.strip_chars("_")
    # A label of nothing but punctuation stays as it is, to be flagged.
    return slugs.zip_with(slugs != "", values)


def spelling_key(values: pl.Series) -> pl.Series:
    """What two spellings of one label share: 'Home & Garden', 'HOME and GARDEN', 'home-garden'."""
    return (
        values.str.normalize("NFKD")
        .str.replace_all(r"\p{Mn}", "")
        .str.to_lowercase()
        .str.replace_all(r"(\s(?:and|und|et|y|e)\s)|[^\p{L}\p{N}]+", " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )


def spellings(values: pl.Series) -> dict[str, str]:
    """The most frequent spelling per `spelling_key`; among equals, one with a capital."""
    counted = (
        pl.DataFrame({"label": values})
        .drop_nulls()
        .group_by("label")
        .agg(rows=pl.len())
        .sort("label")
    )
    best = (
        counted.with_columns(
            key=spelling_key(counted["label"]),
            shouting=pl.col("label") == pl.col("label").str.to_uppercase(),
            capital=pl.col("label").str.contains(r"^\p{Lu}"),
        )
        .sort(
            ["key", "rows", "shouting", "capital", "label"],
            descending=[False, True, False, True, False],
        )
        .unique("key", keep="first", maintain_order=True)
    )
    return dict(best.select("key", "label").iter_rows())


def one_spelling(values: pl.Series, preferred: Mapping[str, str]) -> pl.Series:
    """Every label as `preferred` writes it, else as most of its rows do.

    `preferred` maps a `spelling_key` to the label that is wanted.
    """
    wanted = spellings(values) | dict(preferred)

    def spell(distinct: pl.Series) -> pl.Series:
        found = spelling_key(distinct).replace_strict(wanted, default=None, return_dtype=pl.String)
        return found.zip_with(found.is_not_null(), distinct)

    return map_distinct(values, spell) if wanted else values
