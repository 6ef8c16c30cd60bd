"""How right the links are, against a list of who is who."""

import duckdb
import polars as pl

BINS = (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


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


def calibration(work: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """How often scored pairs of a probability are one person, where both are known.

    One row per range of probabilities, `least` included: pairs, their mean probability and the
    share of them that are one person. Reads `judged` (nodes), `numbered` and `records.person`.
    """
    table: pl.DataFrame = work.sql(
        f"""
        WITH known AS (
            SELECT n.rid, r.person FROM numbered AS n JOIN records AS r
                ON r.source = n.source AND r.record_id = n.record_id
            WHERE r.person IS NOT NULL
        ),
        judged AS (
            SELECT s.p, a.person = b.person AS same,
                list_max(list_filter({list(BINS)}, lambda x: x <= s.p)) AS least
            FROM judged AS s JOIN known AS a ON a.rid = s.l JOIN known AS b ON b.rid = s.r
        )
        SELECT least::DOUBLE AS least, count(*) AS pairs, avg(p) AS probability,
            avg(same::INT) AS one_person
        FROM judged GROUP BY least ORDER BY least
        """
    ).pl()
    return table


def _pairs(sizes: pl.Series) -> float:
    return float((sizes * (sizes - 1) / 2).sum())


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
