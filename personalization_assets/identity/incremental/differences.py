"""How the published tables differ from those of the last run, once the touched areas are done."""

import duckdb

from personalization_assets.identity.descriptions import COLUMNS
from personalization_assets.identity.linking import Linked
from personalization_assets.identity.workspace import create
from personalization_assets.warehouse import Change


def of_descriptions(part: duckdb.DuckDBPyConnection, work: duckdb.DuckDBPyConnection) -> Change:
    """How `identity.descriptions` differs; reads `area_of`.

    Areas and neighbourhoods are named by the smallest number in them, which stays while new
    records come in.
    """
    columns = ", ".join(COLUMNS)
    part.execute(
        """
        CREATE OR REPLACE TABLE named AS
        SELECT p.number, min(p.number) OVER (PARTITION BY a.area) AS area,
            min(p.number) OVER (PARTITION BY a.neighbourhood) AS neighbourhood
        FROM area_of AS a JOIN places AS p ON p.place = a.rid;
        CREATE OR REPLACE TABLE renewed AS
        SELECT d.* REPLACE (n.area AS area, n.neighbourhood AS neighbourhood),
            d.area IS NOT NULL AS known
        FROM described AS d JOIN named AS n USING (number)
        WHERE d.anew OR d.area <> n.area OR d.neighbourhood <> n.neighbourhood
        """
    )
    moved = part.sql(
        """SELECT n.number, n.neighbourhood FROM beside AS b JOIN named AS n USING (number)
        WHERE b.neighbourhood <> n.neighbourhood"""
    ).to_arrow_table()
    create(work, "moved", moved)
    others = work.sql(
        """SELECT b.* REPLACE (m.neighbourhood AS neighbourhood)
        FROM descriptions_before AS b JOIN moved AS m USING (number)"""
    ).to_arrow_table()
    part.register("others", others)
    key = "source, record_id"
    return Change(
        part.sql(
            f"""
            SELECT {key} FROM superseded
            UNION SELECT {key} FROM renewed WHERE known
            UNION SELECT {key} FROM others
            """
        ).to_arrow_table(),
        part.sql(
            f"SELECT {columns}, area, neighbourhood FROM renewed UNION ALL BY NAME FROM others"
        ).to_arrow_table(),
    )


def of_links(part: duckdb.DuckDBPyConnection, linked: Linked) -> dict[str, Change]:
    """Of the tables that `link` makes."""
    no_rows = part.sql("SELECT event_id FROM ledger LIMIT 0").to_arrow_table()
    found = {"ledger": Change(no_rows, linked.events)}
    for name, before, key in (
        ("links", "links_around", "source, record_id"),
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
