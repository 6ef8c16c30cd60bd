"""Which pairs of nodes may have another score than before, or are new.

Those of nodes that came, went or changed; and those that a blocking rule makes now and did not
before, or the other way round, because a value is no longer shared too often, or is now. Their
nodes are `dirty` and all their pairs are looked at again.
"""

from collections.abc import Sequence

import duckdb

from personalization_assets.identity.blocking import filled, hashed
from personalization_assets.identity.comparison import ComparisonSet
from personalization_assets.identity.descriptions import known, nodes_from
from personalization_assets.identity.settings import IdentitySettings

_HOME = -1  # the number of the rule that finds households, see `blocking.candidate_pairs`


def find_neighbours(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    settings: IdentitySettings,
    more: Sequence[str],
) -> None:
    """Build `dirty` (number) and `pairs` (a, b: numbers), the pairs of dirty nodes to be scored.

    Reads what `changed.describe_changed` leaves. Bare units are dirty, too, if they changed or
    somebody did who uses their mailbox or device. Leaves the view `nodes_now`.
    """
    rules = [*usable.blocking, *([usable.home] if usable.home else [])]
    keys = ", ".join(["unique_id AS number", *(_key(c, f"k{i}") for i, c in enumerate(rules))])
    work.execute(
        f"""
        CREATE OR REPLACE VIEW nodes_now AS {nodes_from("descriptions_now", more)};
        CREATE OR REPLACE TABLE lost AS
        {nodes_from("(FROM descriptions_before SEMI JOIN superseded USING (number))", more)};
        CREATE OR REPLACE TABLE won AS {nodes_from("described", more)};
        CREATE OR REPLACE TABLE keys_now AS SELECT {keys} FROM nodes_now;
        CREATE OR REPLACE TABLE keys_lost AS SELECT {keys} FROM lost;
        CREATE OR REPLACE TABLE keys_won AS SELECT {keys} FROM won;
        CREATE OR REPLACE TABLE focus AS FROM keys_lost UNION ALL FROM keys_won;
        CREATE OR REPLACE TABLE held (rule INTEGER, key UBIGINT, number BIGINT);
        CREATE OR REPLACE TABLE stirred (number BIGINT)
        """
    )
    _hold(work, usable, settings)
    work.execute(
        """
        CREATE OR REPLACE TABLE stirred AS
        SELECT DISTINCT number FROM stirred ANTI JOIN keys_won USING (number)
        """
    )
    if work.sql("SELECT 1 FROM stirred LIMIT 1").fetchall():
        work.execute(
            "CREATE OR REPLACE TABLE focus AS FROM keys_now SEMI JOIN stirred USING (number)"
        )
        _hold(work, usable, settings)
    _find_dirty(work)
    work.execute(
        """
        CREATE OR REPLACE TABLE pairs AS
        SELECT DISTINCT least(a.number, b.number) AS a, greatest(a.number, b.number) AS b
        FROM (FROM held SEMI JOIN dirty USING (number)) AS a
        JOIN held AS b ON b.rule = a.rule AND b.key = a.key AND b.number <> a.number;
        DROP TABLE held; DROP TABLE focus; DROP TABLE lost; DROP TABLE won;
        DROP TABLE keys_now; DROP TABLE keys_lost; DROP TABLE keys_won
        """
    )


def _key(columns: Sequence[str], name: str) -> str:
    """SQL: the blocking key of the columns, null where one of them is."""
    return f"CASE WHEN {filled(columns)} THEN {hashed(columns)} END AS {name}"


def _hold(
    work: duckdb.DuckDBPyConnection, usable: ComparisonSet, settings: IdentitySettings
) -> None:
    """Add to `held` who shares a usable value with a node of `focus`, to `stirred` who is concerned
    because the value was usable before and is no longer, or the other way round."""
    most = settings.max_block_size
    for rule in range(len(usable.blocking)):
        key = f"k{rule}"
        work.execute(
            f"""
            CREATE OR REPLACE TABLE sharing AS
            SELECT number, {key} AS key FROM keys_now SEMI JOIN focus USING ({key});
            CREATE OR REPLACE TABLE shared AS
            WITH moves AS (
                SELECT {key} AS key, 1 AS number FROM keys_lost
                UNION ALL SELECT {key}, -1 FROM keys_won
            ),
            moved AS (SELECT key, sum(number) AS number FROM moves GROUP BY key)
            SELECT s.key, count(*) AS now, count(*) + coalesce(any_value(m.number), 0) AS before
            FROM sharing AS s LEFT JOIN moved AS m ON m.key = s.key GROUP BY s.key
            """
        )
        _keep(work, rule, most)
    if usable.home:
        _hold_homes(work, f"k{len(usable.blocking)}", most)
    work.execute("DROP TABLE IF EXISTS sharing; DROP TABLE IF EXISTS shared")


def _keep(work: duckdb.DuckDBPyConnection, rule: int, most: int) -> None:
    work.execute(
        f"""
        INSERT INTO held SELECT {rule}, key, number FROM sharing
        SEMI JOIN (SELECT key FROM shared WHERE now BETWEEN 2 AND {most}) AS usable USING (key);
        INSERT INTO stirred SELECT number FROM sharing
        SEMI JOIN (SELECT key FROM shared WHERE (now <= {most}) <> (before <= {most})) AS turned
            USING (key)
        """
    )


def _hold_homes(work: duckdb.DuckDBPyConnection, key: str, most: int) -> None:
    """The same for homes: of each name in a home, the first record in order stands for all.

    Another first record is concerned, too: its pairs with the housemates come or go.
    """
    first = """QUALIFY row_number() OVER (
        PARTITION BY key, first_canon, last_name ORDER BY source, record_id) = 1"""
    columns = f"k.number, source, record_id, first_canon, last_name, k.{key} AS key"
    work.execute(
        f"""
        CREATE OR REPLACE TABLE dwellers AS
        SELECT {columns} FROM (FROM keys_now SEMI JOIN focus USING ({key})) AS k
        JOIN descriptions_now AS d ON d.number = k.number;
        CREATE OR REPLACE TABLE sharing AS SELECT key, number FROM dwellers {first};
        CREATE OR REPLACE TABLE shared_before AS
        SELECT key, number FROM (
            FROM dwellers ANTI JOIN keys_won USING (number)
            UNION ALL SELECT {columns} FROM keys_lost AS k
            JOIN lost ON lost.unique_id = k.number WHERE k.{key} IS NOT NULL
        ) {first};
        CREATE OR REPLACE TABLE shared AS
        SELECT key, count(s.number) AS now, count(b.number) AS before
        FROM sharing AS s FULL JOIN shared_before AS b USING (key, number) GROUP BY key;
        INSERT INTO stirred SELECT number FROM (
            (FROM sharing EXCEPT FROM shared_before)
            UNION ALL (FROM shared_before EXCEPT FROM sharing)
            UNION ALL FROM shared_before SEMI JOIN (
                SELECT key FROM shared WHERE (now <= {most}) <> (before <= {most})
            ) AS turned USING (key)
        ) SEMI JOIN keys_now USING (number);
        DROP TABLE dwellers; DROP TABLE shared_before
        """
    )
    _keep(work, _HOME, most)


def _find_dirty(work: duckdb.DuckDBPyConnection) -> None:
    work.execute(
        f"""
        CREATE OR REPLACE TABLE bare_now AS
        SELECT node AS number, {known(("account_key", "email", "device"))}
        FROM descriptions_now WHERE is_bare AND lead = number;
        CREATE OR REPLACE TABLE users AS
        SELECT email, device FROM lost UNION ALL SELECT email, device FROM won
        UNION ALL SELECT email, device FROM nodes_now
            SEMI JOIN stirred ON stirred.number = nodes_now.unique_id;
        CREATE OR REPLACE TABLE dirty AS
        SELECT unique_id AS number FROM won
        UNION FROM stirred
        UNION SELECT node FROM described WHERE is_bare
        UNION SELECT number FROM bare_now
            SEMI JOIN (SELECT email FROM users) AS u ON u.email = bare_now.email
        UNION SELECT number FROM bare_now
            SEMI JOIN (SELECT device FROM users) AS u ON u.device = bare_now.device;
        DROP TABLE users
        """
    )
