"""How the published tables differ from those of the last run, once the touched areas are done."""

import duckdb

from personalization_assets.identity.descriptions import COLUMNS
from personalization_assets.identity.linking import Linked
from personalization_assets.warehouse import Change


def of_descriptions(part: duckdb.DuckDBPyConnection) -> Change:
    """How `identity.descriptions` differs; reads `area_of`."""
    part.execute(
        f"""
        CREATE OR REPLACE TABLE renewed AS
        SELECT {", ".join(f"d.{c}" for c in COLUMNS)}, f.number AS area, d.area_before
        FROM described AS d
        JOIN inner_positions AS i ON i.number = d.number
        JOIN area_of AS a ON a.rid = i.place
        JOIN inner_positions AS f ON f.place = a.area
        WHERE d.anew OR d.area_before <> f.number
        """
    )
    return Change(
        part.sql(
            """
            SELECT source, record_id FROM superseded
            UNION SELECT source, record_id FROM renewed WHERE area_before IS NOT NULL
            """
        ).to_arrow_table(),
        part.sql("SELECT * EXCLUDE (area_before) FROM renewed").to_arrow_table(),
    )


def of_links(part: duckdb.DuckDBPyConnection, linked: Linked) -> dict[str, Change]:
    """Of the tables that `link` makes."""
    no_rows = part.sql("SELECT event_id FROM ledger LIMIT 0").to_arrow_table()
    found = {"ledger": Change(no_rows, part.sql("FROM events").to_arrow_table())}
    for name, before, key in (
        ("links", "links_before", "source, record_id"),
        ("links_strict", "strict_before", "source, record_id"),
        ("review_queue", "review_before", "item_id"),
        ("former_ids", "former", "source, record_id, customer_id"),
    ):
        part.register("now", getattr(linked, name))
        columns = ", ".join(getattr(linked, name).schema.names)
        found[name] = Change(
            part.sql(
                f"SELECT {key} FROM (SELECT {columns} FROM {before} EXCEPT FROM now)"
            ).to_arrow_table(),
            part.sql(f"FROM now EXCEPT SELECT {columns} FROM {before}").to_arrow_table(),
        )
        part.unregister("now")
    return found
