"""Reading contacts, members and preferences."""

import polars as pl

from personalization_assets.standardized.entities.reading import Reading
from personalization_assets.standardized.normalise import labels, plausible, text


def person(reading: Reading) -> None:
    """Name, address and ways to reach somebody, as contacts, members and orders have them."""
    reading.name("given_name", "family_name", "full_name", "street", "city")
    region = text.clean(reading.received("region"))
    short = (region.str.len_chars() <= 3).fill_null(value=False)
    reading.put("region", region.str.to_uppercase().zip_with(short, region))
    reading.country()
    reading.postcode()
    reading.persons_email()
    reading.phone()
    names(reading)


def names(reading: Reading) -> None:
    """The parts of a name from the whole where only that is known, and the other way round."""
    given, family, full = (reading[c] for c in ("given_name", "family_name", "full_name"))
    only_full = given.is_null() & family.is_null() & full.is_not_null()
    if only_full.any():
        first, last = text.split_full_name(full.set(~only_full, None))
        given = reading.put("given_name", given.zip_with(~only_full, first))
        family = reading.put("family_name", family.zip_with(~only_full, last))
    together = pl.DataFrame({"given": given, "family": family}).select(
        name=pl.concat_str("given", "family", separator=" ", ignore_nulls=True)
    )["name"]
    together = together.set((together == "").fill_null(value=False), None)
    full = reading.put("full_name", full.zip_with(full.is_not_null(), together))
    reading.flag("name.implausible", plausible.no_name(full))


def read_crm_contacts(reading: Reading) -> None:
    """Contacts of a CRM."""
    reading.identifier("contact_id", "device_id")
    reading.put("record_id", reading["contact_id"])
    reading.account()
    person(reading)
    reading.birth_date()
    gender(reading)
    reading.language()
    reading.boolean("email_opt_in")
    reading.moment("created_at")
    reading.moment("updated_at")


def gender(reading: Reading) -> None:
    """Female, male or other; what is none of them is flagged and null."""
    asked = text.clean(reading.received("gender"))
    values = labels.only_known(asked, labels.GENDER)
    reading.flag("gender.unknown", asked.is_not_null() & values.is_null())
    reading.put("gender", values)


def read_loyalty_members(reading: Reading) -> None:
    """Members of a loyalty programme."""
    reading.identifier("member_id")
    reading.put("record_id", reading["member_id"])
    reading.account()
    person(reading)
    reading.birth_date()
    reading.label("tier", labels.TIER)
    reading.whole_number("points")
    reading.moment("enrolled_at")
    reading.moment("updated_at")


def read_preferences(reading: Reading) -> None:
    """Answers given in a preference centre."""
    reading.account()
    address = reading.persons_email()
    given = text.identifier(reading.received("record_id"))
    # Some centres use the address as the id; then both have one spelling.
    same = (given.str.to_lowercase() == address).fill_null(value=False)
    given = given.set(same, None)
    reading.put("record_id", given.zip_with(given.is_not_null(), address))
    for consent in ("email_marketing", "personalisation", "sms_marketing", "third_party"):
        reading.boolean(consent)
    listed = _list(text.tidy(reading.received("categories")), reading)
    reading.put("categories", listed)
    reading.label("frequency", labels.FREQUENCY)
    reading.language()
    reading.moment("updated_at")


def _list(values: pl.Series, reading: Reading) -> pl.Series:
    """'Garden; Toys', '["Garden","Toys"]' and the like as a list in the catalogue's spelling."""
    plain = values.str.strip_chars("[]{}()").str.replace_all(r'["“”]', "")
    rows = (
        pl.DataFrame({"text": plain})
        .with_row_index("row")
        .with_columns(pl.col("text").str.replace_all(r"\s*[;|,]\s*", ";").str.split(";"))
        .explode("text")
    )
    rows = rows.with_columns(label=text.clean(rows["text"]).str.strip_chars("' "))
    rows = rows.with_columns(label=labels.one_spelling(rows["label"], reading.lookups.spellings))
    lists = rows.group_by("row", maintain_order=True).agg(
        pl.col("label").drop_nulls().unique(maintain_order=True)
    )["label"]
    return lists.set(values.is_null(), None) if values.null_count() else lists
