"""How far a change reaches: which records have to be linked again, and what that needs to know."""

import duckdb
import pyarrow as pa

from personalization_assets.identity.linking import likely
from personalization_assets.identity.matching import possible
from personalization_assets.identity.settings import IdentitySettings

_OF_ENDS = "number, source, record_id, node, is_bare, is_faint, more"
"""What has to be known of an outer end; that of its node, which it is itself."""


def find_touched(work: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Find out how far the change reaches.

    `touched` (number): all records of the areas that changed pairs reach; `wanted`: these and the
    gone, with `ends`: whether their pairs of before no longer count; `nearby`: all others that may
    live with them; `around`: both; `old`: the pairs of before that lie among the touched (`inside`)
    or no longer count (`dropped`), and those that may make a household with somebody nearby.
    Records are numbers. Reads `scored`, `owners`, `dirty`, and what `changed` leaves.
    """
    home = f"p_home >= {settings.household_threshold}"
    work.execute(
        f"""
        CREATE OR REPLACE TABLE reached AS
        WITH strong AS (
            SELECT l, r FROM scored WHERE {likely(settings)} OR (told AND {possible(settings)})
            UNION ALL SELECT bare, owner FROM owners
        )
        SELECT l AS number FROM strong UNION SELECT r FROM strong UNION FROM dirty
        UNION FROM superseded;
        CREATE OR REPLACE TABLE touched AS
        SELECT number FROM described
        UNION SELECT number FROM descriptions_now SEMI JOIN (
            SELECT area FROM descriptions_before SEMI JOIN reached USING (number)
        ) AS a USING (area);
        CREATE OR REPLACE TABLE outer_ends AS
        WITH kept AS (
            FROM scored WHERE {possible(settings)}
        )
        SELECT number FROM (SELECT l AS number FROM kept UNION SELECT r FROM kept)
        ANTI JOIN touched USING (number);
        CREATE OR REPLACE TABLE wanted AS
        SELECT d.number, d.source, d.record_id, e.number IS NOT NULL AS ends
        FROM (SELECT number, source, record_id FROM descriptions_now) AS d
        SEMI JOIN touched AS t ON t.number = d.number
        LEFT JOIN (FROM superseded UNION FROM dirty) AS e ON e.number = d.number
        UNION ALL SELECT number, source, record_id, true FROM changed WHERE gone;
        CREATE OR REPLACE TABLE stirred_neighbourhoods AS
        SELECT DISTINCT neighbourhood FROM descriptions_before SEMI JOIN (
            FROM touched UNION FROM superseded
            UNION SELECT l FROM scored WHERE {home} UNION SELECT r FROM scored WHERE {home}
        ) AS stirred USING (number);
        CREATE OR REPLACE TABLE nearby AS
        SELECT number, source, record_id, area, neighbourhood FROM descriptions_now
        SEMI JOIN stirred_neighbourhoods USING (neighbourhood)
        ANTI JOIN touched USING (number);
        CREATE OR REPLACE TABLE around AS
        SELECT number, source, record_id, ends, true AS inside, NULL::BIGINT AS area,
            NULL::BIGINT AS neighbourhood
        FROM wanted
        UNION ALL
        SELECT number, source, record_id, false, false, area, neighbourhood FROM nearby;
        CREATE OR REPLACE TABLE old AS
        SELECT m.*, a.number AS l, b.number AS r,
            coalesce(a.ends, false) OR coalesce(b.ends, false) AS dropped,
            coalesce(a.inside AND b.inside, false) AS inside
        FROM matches_before AS m
        LEFT JOIN around AS a ON a.source = m.source_l AND a.record_id = m.record_id_l
        LEFT JOIN around AS b ON b.source = m.source_r AND b.record_id = m.record_id_r
        WHERE (a.inside AND b.inside) OR a.ends OR b.ends
            OR (a.number IS NOT NULL AND b.number IS NOT NULL
                AND household_probability >= {settings.household_threshold})
        """
    )


def touched(work: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    """What is needed to do the touched areas again, and the outer ends of their weak pairs."""
    queries = {
        # Two queries: in one, DuckDB would write the whole view down first to read it twice.
        "described": "FROM descriptions_now SEMI JOIN touched USING (number)",
        "ends": f"SELECT {_OF_ENDS} FROM descriptions_now SEMI JOIN outer_ends USING (number)",
        "old": "SELECT * EXCLUDE (inside) FROM old WHERE inside OR dropped",
        "old_homes": """
            SELECT l, r, household_probability AS p_home FROM old WHERE NOT inside AND NOT dropped
        """,
        "scores": "FROM scored",
        "owned": "FROM owners",
        "changed": "FROM changed",
        "superseded": """
            SELECT number, source, record_id FROM descriptions_before
            SEMI JOIN superseded USING (number)
        """,
        "decisions": "FROM decisions",
        "former": "FROM former_before SEMI JOIN wanted USING (source, record_id)",
        "ledger": "FROM ledger_before",
        "spelled_before": "SELECT source, record_id, first_name, first_canon, last_name"
        " FROM descriptions_before SEMI JOIN wanted USING (number)",
        "links_around": """
            SELECT a.number, a.inside, a.area, a.neighbourhood, l.* FROM links_before AS l
            JOIN around AS a ON a.source = l.source AND a.record_id = l.record_id
        """,
        "strict_before": "FROM strict_before SEMI JOIN wanted USING (source, record_id)",
        "review_before": """
            FROM review_before AS q SEMI JOIN wanted AS w
                ON w.source = q.source_l AND w.record_id = q.record_id_l
        """,
    }
    return {name: work.sql(query).to_arrow_table() for name, query in queries.items()}
