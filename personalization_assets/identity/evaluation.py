"""How right the links are, against a list of who is who."""

import polars as pl


def evaluate(links: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Rows of `identity.evaluation` (metric, value); empty when no record is in both.

    `links` has source, record_id, customer_id; `truth` has source, key (the record_id), person.
    Pairs are counted after closure: every two records of one customer are a pair. B-cubed gives
    each record the same weight, however large its cluster (Bagga and Baldwin 1998).
    """
    text = pl.col("source", "key", "person").cast(pl.String)
    both = links.select("source", "record_id", "customer_id").join(
        truth.select(text).unique(["source", "key"], keep="first", maintain_order=True),
        left_on=["source", "record_id"],
        right_on=["source", "key"],
        how="inner",
    )
    if both.is_empty():
        return pl.DataFrame(schema={"metric": pl.String, "value": pl.Float64})
    cell = both.group_by("customer_id", "person").agg(n=pl.len().cast(pl.Float64))
    mine = both.group_by("customer_id").agg(customer=pl.len().cast(pl.Float64))
    real = both.group_by("person").agg(person_size=pl.len().cast(pl.Float64))
    cells = cell.join(mine, on="customer_id").join(real, on="person").sort("customer_id", "person")
    records = float(both.height)

    right = _pairs(cell["n"])
    found, wanted = _pairs(mine["customer"]), _pairs(real["person_size"])
    precision = right / found if found else 1.0
    recall = right / wanted if wanted else 1.0
    squares = cells["n"] * cells["n"]
    b_precision = float((squares / cells["customer"]).sum()) / records
    b_recall = float((squares / cells["person_size"]).sum()) / records
    values = {
        "pair_precision": precision,
        "pair_recall": recall,
        "pair_f1": _f1(precision, recall),
        "b_cubed_precision": b_precision,
        "b_cubed_recall": b_recall,
        "b_cubed_f1": _f1(b_precision, b_recall),
        "records": records,
        "customers": float(mine.height),
        "people": float(real.height),
    }
    return pl.DataFrame(
        {"metric": list(values), "value": [round(v, 6) for v in values.values()]}
    ).sort("metric")


def _pairs(sizes: pl.Series) -> float:
    return float((sizes * (sizes - 1) / 2).sum())


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
