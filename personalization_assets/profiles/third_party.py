"""Read what third parties sell about customers or areas, and give it to those who allow that.

Rows about people who are not customers are not kept: the file is read, matched and forgotten. What
cannot be used is counted by its reason and can be found again by its row; the value itself stays in
the vendor's file.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.profiles.enrichment_file import ATTRIBUTES, Fill, VendorFile

KEYS: dict[str, str] = {
    "email": "email",
    "email_sha256": "sha256(email)",
    "phone": "phone",
    "account_key": "account_key",
    "postcode": "country || ' ' || upper(replace(replace(postcode, ' ', ''), '-', ''))",
}
"""Kinds of key, and how a customer's comes from profiles.attributes."""

SHAPES: dict[str, str] = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "email_sha256": "^[0-9a-f]{64}$",
    "phone": r"^\+[0-9]{7,15}$",
    "account_key": "^.+$",
    "postcode": "^[A-Z]{2} .+$",
}
"""What a vendor's key must look like once it is written as ours are."""

CONSENTS: dict[str, str] = {
    "third_party": "c.third_party AND c.personalisation",
    # Data about an area is not about a person; still, a stated no to third parties is heard.
    "personalisation": "c.personalisation AND (c.third_party OR c.third_party_origin IS NULL)",
}

WHOLE_FILE = 0
"""The row by which a file as a whole is refused."""

VALUES = {
    "file": pl.String,
    "place": pl.Int64,
    "row": pl.Int64,
    "kind": pl.String,
    "key": pl.String,
    "consent": pl.String,
    "attribute": pl.String,
    "value": pl.String,
    "confidence": pl.Float64,
}
REFUSED = {"file": pl.String, "row": pl.Int64, "attribute": pl.String, "reason": pl.String}


@dataclass(frozen=True)
class Read:
    """What the files say (one row per file, row and attribute), what of it was refused, and the
    sentences about files that were refused whole."""

    values: pl.DataFrame
    refused: pl.DataFrame
    problems: tuple[str, ...]


def read_files(
    files: Mapping[str, VendorFile], folder: Path, categories: set[str], as_of: dt.datetime
) -> Read:
    """Read every file; one that cannot be read does not keep the others from filling."""
    values, refused = [pl.DataFrame(schema=VALUES)], [pl.DataFrame(schema=REFUSED)]
    problems = []
    for place, (name, file) in enumerate(files.items()):
        try:
            frame = _open(name, file, folder, as_of)
        except UserError as error:
            problems.append(str(error))
            row = [{"file": name, "row": WHOLE_FILE, "attribute": "", "reason": "file_refused"}]
            refused.append(pl.DataFrame(row, schema=REFUSED))
            continue
        judged = _judge_rows(frame, file, as_of.date())
        bad = pl.col("reason").is_not_null()
        refused.append(_refusals(judged.filter(bad), name, ""))
        good = judged.filter(~bad)
        for attribute, fill in file.fills.items():
            cells = _judge_cells(good, attribute, fill, categories)
            refused.append(_refusals(cells.filter(bad), name, attribute))
            kept = cells.filter(~bad & pl.col("value").is_not_null())
            about = {
                "file": pl.lit(name),
                "place": pl.lit(place, pl.Int64),
                "kind": pl.lit(file.join.key),
                "consent": pl.lit(file.consent),
                "attribute": pl.lit(attribute),
            }
            values.append(kept.with_columns(**about).select(list(VALUES)))
    return Read(pl.concat(values), pl.concat(refused), tuple(problems))


def match(con: duckdb.DuckDBPyConnection, values: pl.DataFrame) -> pl.DataFrame:
    """Give values to the customers they are about, where consents allow it.

    A key that stands for one person fills nothing where two customers hold it. Columns: those of
    `ThirdParty`; one row per customer, attribute and file.
    """
    kinds = values["kind"].unique().sort().to_list()
    if not kinds:
        kinds = ["email"]
    keys = " UNION ALL ".join(
        f"SELECT customer_id, '{kind}' AS kind, {KEYS[kind]} AS key FROM profiles.attributes"
        f" WHERE {KEYS[kind]} IS NOT NULL"
        + ("" if kind == "postcode" else f" QUALIFY count(*) OVER (PARTITION BY {KEYS[kind]}) = 1")
        for kind in kinds
    )
    allowed = " ".join(f"WHEN '{name}' THEN {sql}" for name, sql in CONSENTS.items())
    con.register("vendor_values", values.to_arrow())
    try:
        matched: pl.DataFrame = con.sql(
            "SELECT k.customer_id, v.attribute, v.file, v.row, v.place, v.value, v.confidence"
            f" FROM vendor_values AS v INNER JOIN ({keys}) AS k"
            " ON k.kind = v.kind AND k.key = v.key"
            " INNER JOIN profiles.consents AS c ON c.customer_id = k.customer_id"
            f" WHERE CASE v.consent {allowed} END ORDER BY ALL"
        ).pl()
    finally:
        con.unregister("vendor_values")
    return matched


def _open(name: str, file: VendorFile, folder: Path, as_of: dt.datetime) -> pl.DataFrame:
    """The columns that are wanted, as text, and `row` counted from 1.

    Raises:
        UserError: the file is absent, unreadable, lacks a column, or may not be used any more.
    """
    path = folder / file.path
    if file.licence_ends and as_of.date() > file.licence_ends:
        raise UserError(
            f"enrichment.yaml: the licence of '{name}' ended on {file.licence_ends}: renew it and "
            "set `licence_ends`, or remove the file."
        )
    if not path.exists():
        raise UserError(
            f"enrichment.yaml: '{name}' names {path}, which is not there: put the file there, or "
            "remove it from enrichment.yaml."
        )
    try:
        if file.format == "parquet":
            frame = pl.read_parquet(path)
        else:
            # Read with its own encoding first: polars' reader knows only UTF-8.
            text = path.read_bytes().decode(file.encoding.replace("utf-8", "utf-8-sig"))
            frame = pl.read_csv(
                text.encode(), separator=file.delimiter, infer_schema_length=0, encoding="utf8"
            )
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"enrichment.yaml: '{name}' is not a readable {file.format} file "
            f"({type(error).__name__}): {path}; check `format`, `delimiter` and `encoding`."
        ) from None
    lacking = [c for c in file.columns if c not in frame.columns]
    if lacking:
        raise UserError(
            f"enrichment.yaml: '{name}' has no column {', '.join(lacking)} in {path}: name columns "
            "that the file has, or ask the vendor why they are gone."
        )
    return frame.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"),
        *(pl.col(c).cast(pl.String).str.strip_chars().replace("", None) for c in file.columns),
    )


def _judge_rows(frame: pl.DataFrame, file: VendorFile, today: dt.date) -> pl.DataFrame:
    """Add `key`, and `reason` where a row cannot be used at all; the first row of a key counts."""
    keyed = frame.with_columns(key=_key(file))
    reasons = [
        pl.when(pl.col("key").is_null()).then(pl.lit("key_unreadable")),
    ]
    for column, outdated, least in (
        (file.valid_until, "no_longer_valid", 0),
        (file.observed_on, "too_old", file.max_age_days or 0),
    ):
        if column:
            day = pl.col(column).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
            reasons += [
                pl.when(day.is_null()).then(pl.lit("day_unreadable")),
                pl.when(day < today - dt.timedelta(days=least)).then(pl.lit(outdated)),
            ]
    judged = keyed.with_columns(reason=pl.coalesce(reasons))
    first = pl.struct("key").is_first_distinct().over(pl.col("reason").is_null())
    return judged.with_columns(
        reason=pl.when(pl.col("reason").is_null() & ~first)
        .then(pl.lit("key_repeated"))
        .otherwise("reason")
    )


def _key(file: VendorFile) -> pl.Expr:
    """A row's key, written as the customers' keys are; null where it cannot be one."""
    kind = file.join.key
    cells = [pl.col(c) for c in file.join.columns]
    if kind == "postcode":
        bare = cells[1].str.replace_all(r"[\s-]", "").str.to_uppercase()
        key = cells[0].str.to_uppercase() + " " + bare
    elif kind == "phone":
        bare = cells[0].str.replace_all(r"[\s()./-]", "")
        key = bare.str.replace("^00", "+")
    elif kind == "account_key":
        key = cells[0]
    else:
        key = cells[0].str.to_lowercase()
    return pl.when(key.str.contains(SHAPES[kind])).then(key)


def _judge_cells(
    rows: pl.DataFrame, attribute: str, fill: Fill, categories: set[str]
) -> pl.DataFrame:
    """`row`, `key`, `value`, `confidence` and, where a value cannot be used, `reason`."""
    value = pl.col(fill.column)
    if fill.labels:
        value = value.replace(fill.labels)
    sure = (
        pl.col(fill.confidence_column)
        .str.replace(",", ".", literal=True)
        .cast(pl.Float64, strict=False)
        if fill.confidence_column
        else pl.lit(fill.confidence, pl.Float64)
    )
    known = sorted(ATTRIBUTES[attribute] or categories)
    return rows.select("row", "key", value=value, confidence=sure).with_columns(
        reason=pl.when(pl.col("value").is_null())
        .then(None)
        .when(~pl.col("value").is_in(known))
        .then(pl.lit("value_unknown"))
        .when(~pl.col("confidence").is_between(0, 1).fill_null(value=False))
        .then(pl.lit("confidence_unreadable"))
    )


def _refusals(bad: pl.DataFrame, file: str, attribute: str) -> pl.DataFrame:
    return bad.with_columns(file=pl.lit(file), attribute=pl.lit(attribute)).select(list(REFUSED))
