"""Link again all records that a changed pair reaches, as a full run would; leave the others.

What makes records one person, or puts them side by side for a review, is a strong pair: see
`linking.strong`. Records that strong pairs connect are an area. Who is who within an area does not
depend on any record outside it, so the areas that something has changed in are done again, from the
scored pairs on, by the code that does all. Who lives with whom can be otherwise a little further
off, among customers that stay who they are: see `linking.areas`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from personalization_assets.identity.blocking import account_pairs
from personalization_assets.identity.descriptions import nodes_from
from personalization_assets.identity.frequencies import with_frequencies
from personalization_assets.identity.gate import Figures, Totals, elsewhere, measure
from personalization_assets.identity.incremental.baseline import digest_of
from personalization_assets.identity.incremental.changed import describe_changed
from personalization_assets.identity.incremental.differences import of_descriptions, of_links
from personalization_assets.identity.incremental.neighbours import find_neighbours
from personalization_assets.identity.incremental.reach import find_touched, touched
from personalization_assets.identity.linking import areas, link
from personalization_assets.identity.matching import (
    complete_pairs,
    components,
    decided_pairs,
    edges,
    judge,
    matches_table,
)
from personalization_assets.identity.model import Model
from personalization_assets.identity.nodes import find_contradicting
from personalization_assets.identity.normalise import more_columns
from personalization_assets.identity.owners import owners
from personalization_assets.identity.scoring import score
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.vetoes import vetoed_pairs
from personalization_assets.identity.workspace import create, part_of
from personalization_assets.warehouse import Change


class TooMuchError(Exception):
    """The change reaches so far that all records have to be linked again; says why."""


@dataclass(frozen=True)
class Relinked:
    """How each published table differs from the last run's, and how many records were looked at."""

    matches: Change
    descriptions: Change
    links: Change
    ledger: Change
    review_queue: Change
    links_strict: Change
    former_ids: Change
    figures: Figures
    changed: int
    relinked: int
    moved: tuple[str, str]
    """Digests of the rows of `identity.links` that are gone and of those that are new."""


def relink(
    work: duckdb.DuckDBPyConnection,
    model: Model,
    settings: IdentitySettings,
    as_of: dt.datetime,
    before: Totals,
) -> Relinked:
    """Who is who, given who was who. Reads `changed`, see `changed.find_changed`.

    `before` are the last run's totals.

    Raises:
        TooMuchError: only a full run can tell.
    """
    more = more_columns(model.comparisons.extras, settings)
    describe_changed(work, model, settings)
    find_neighbours(work, model.comparisons, settings, more)
    _score_pairs(work, model, settings, more)
    _find_owners(work, settings, more)
    find_touched(work, settings)
    with part_of(work, touched(work), main="described") as part:
        _load(part, model, more)
        _judge_all(part, model, settings)
        stayed = "(FROM pair ANTI JOIN stayed USING (l, r))"
        matches = Change(
            part.sql(
                """
                SELECT source_l, record_id_l, source_r, record_id_r FROM old AS o
                ANTI JOIN (
                    SELECT a.number AS l, b.number AS r
                    FROM (FROM pair SEMI JOIN stayed USING (l, r)) AS p
                    JOIN positions AS a ON a.rid = p.l JOIN positions AS b ON b.rid = p.r
                ) AS kept ON kept.l = o.l AND kept.r = o.r
                """
            ).to_arrow_table(),
            matches_table(part, model.version, stayed),
        )
        _keep_touched(part, settings)
        linked = link(
            part,
            model.share,
            model.household.share if model.household else None,
            settings,
            as_of,
            model.version,
        )
        figures = elsewhere(measure(part, "described", "names_before"), before, work)
        areas(part, settings)
        changed, relinked = part.sql(
            "SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM numbered)"
        ).fetchall()[0]
        part.register("now", linked.links)
        moved = (digest_of(part, "links_around"), digest_of(part, "now"))
        return Relinked(
            matches,
            of_descriptions(part, work),
            **of_links(part, linked),
            figures=figures,
            changed=changed,
            relinked=relinked,
            moved=moved,
        )


def _score_pairs(
    work: duckdb.DuckDBPyConnection,
    model: Model,
    settings: IdentitySettings,
    more: Sequence[str],
) -> None:
    """Build `scored`: l, r (numbers in the order of the records), weight, p, p_home, and `told`:
    whether the pair is kept for what it is, however probable (a mere name, or a veto)."""
    ends = "(SELECT a AS number FROM pairs UNION SELECT b FROM pairs)"
    tables = {
        "compared_rows": work.sql(
            f"FROM descriptions_now SEMI JOIN {ends} USING (number)"
        ).to_arrow_table(),
        "pairs_found": work.sql("FROM pairs").to_arrow_table(),
    }
    with part_of(work, tables, main="pairs_found") as part:
        nodes = with_frequencies(part, nodes_from("compared_rows", more), model.frequencies)
        part.execute(
            f"""
            CREATE OR REPLACE TABLE nodes AS {nodes};
            CREATE OR REPLACE TABLE pairs AS
            SELECT CASE WHEN ordered THEN a ELSE b END AS l, CASE WHEN ordered THEN b ELSE a END
                AS r
            FROM (
                SELECT p.a, p.b, (a.source, a.record_id) < (b.source, b.record_id) AS ordered
                FROM pairs_found AS p
                JOIN nodes AS a ON a.unique_id = p.a JOIN nodes AS b ON b.unique_id = p.b
            )
            """
        )
        score(part, model, "pairs", "scored")
        vetoed_pairs(part, settings, "scored", "vetoed")
        scored = part.sql(
            """
            SELECT s.l, s.r, weight, p, p_home, a.is_faint OR b.is_faint OR v.l IS NOT NULL AS told
            FROM scored AS s LEFT JOIN vetoed AS v ON v.l = s.l AND v.r = s.r
            JOIN nodes AS a ON a.unique_id = s.l JOIN nodes AS b ON b.unique_id = s.r
            """
        ).to_arrow_table()
    create(work, "scored", scored)


def _find_owners(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, more: Sequence[str]
) -> None:
    """Build `owners` of the dirty bare units, as numbers; leaves a table `nodes` of their users."""
    users = """(
        FROM descriptions_now SEMI JOIN (
            SELECT number FROM descriptions_now AS d SEMI JOIN bare ON bare.email = d.email
            UNION SELECT number FROM descriptions_now AS d SEMI JOIN bare ON bare.device = d.device
        ) AS u USING (number)
    )"""
    work.execute(
        f"""
        CREATE OR REPLACE TABLE bare AS
        SELECT number AS unit, email, device FROM bare_now SEMI JOIN dirty USING (number);
        CREATE OR REPLACE TABLE nodes AS {nodes_from(users, more)}
        """
    )
    owners(work, settings)


def _load(part: duckdb.DuckDBPyConnection, model: Model, more: Sequence[str]) -> None:
    """Build what `matching` reads, numbered by the order of the records.

    Accounts and bare units are whole inside the touched areas and left out outside.
    """
    nodes = with_frequencies(part, nodes_from("described", more), model.frequencies)
    part.execute(
        f"""
        CREATE OR REPLACE TABLE described AS
        SELECT *, true AS inside FROM described
        UNION ALL BY NAME SELECT *, false AS inside FROM ends;
        CREATE OR REPLACE TABLE positions AS
        SELECT row_number() OVER (ORDER BY source, record_id) - 1 AS rid, number, source,
            record_id, inside
        FROM described;
        CREATE OR REPLACE TABLE numbered AS SELECT rid, source, record_id FROM positions;
        CREATE OR REPLACE TABLE members AS
        SELECT p.rid, d.source, d.record_id, d.account_key, n.rid AS node
        FROM described AS d
        JOIN positions AS p ON p.number = d.number
        JOIN positions AS n ON n.number = d.node
        WHERE d.inside;
        CREATE OR REPLACE TABLE nodes AS
        SELECT p.rid AS unique_id, n.* EXCLUDE (unique_id)
        FROM ({nodes}) AS n JOIN positions AS p ON p.number = n.unique_id;
        CREATE OR REPLACE TABLE faint AS SELECT unique_id AS node FROM nodes WHERE is_faint;
        CREATE OR REPLACE TABLE bare AS
        SELECT d.account_key, p.rid AS unit FROM described AS d
        JOIN positions AS p ON p.number = d.node WHERE d.is_bare AND d.inside;
        CREATE OR REPLACE TABLE owners AS
        SELECT a.rid AS bare, b.rid AS owner, o.p FROM (
            FROM owned UNION ALL
            SELECT if(cause = 'owner_l', r, l), if(cause = 'owner_l', l, r), match_probability
            FROM old WHERE starts_with(cause, 'owner') AND NOT dropped
        ) AS o
        JOIN positions AS a ON a.number = o.bare JOIN positions AS b ON b.number = o.owner;
        CREATE OR REPLACE VIEW normal AS FROM described WHERE inside;
        CREATE OR REPLACE TABLE previous AS
        SELECT source, record_id, customer_id, linked_by FROM links_around WHERE inside;
        CREATE OR REPLACE VIEW names_before AS
        SELECT l.customer_id, d.first_name, d.first_canon, d.last_name
        FROM previous AS l JOIN spelled_before AS d USING (source, record_id)
        """
    )
    find_contradicting(part)
    account_pairs(part)
    decided_pairs(part)


def _judge_all(part: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings) -> None:
    """Build `pair` of the touched areas, from the new scores and the pairs of before that stand.

    Leaves `stayed` (l, r): the pairs of before, exact duplicates among them, that may stand.
    """
    part.execute(
        """
        CREATE OR REPLACE TABLE scored AS
        SELECT a.rid AS l, b.rid AS r, weight, p, p_home FROM scores AS s
        JOIN positions AS a ON a.number = s.l JOIN positions AS b ON b.number = s.r;
        CREATE OR REPLACE TABLE stayed AS
        SELECT a.rid AS l, b.rid AS r, o.* EXCLUDE (l, r) FROM old AS o
        JOIN positions AS a ON a.number = o.l JOIN positions AS b ON b.number = o.r
        WHERE NOT dropped
        """
    )
    judge(part, settings, "judged", blocked=True)
    part.execute(
        """
        INSERT INTO judged BY NAME
        SELECT s.l, s.r, match_weight AS weight, match_probability AS p,
            household_probability AS p_home, NULL AS verdict, k.l IS NOT NULL AS account,
            cause = 'veto' AS vetoed, cause = 'name_r' AS faint_l, cause = 'name_l' AS faint_r,
            on_its_own
        FROM stayed AS s LEFT JOIN account_pairs AS k ON k.l = s.l AND k.r = s.r
        WHERE cause IN ('model', 'account', 'veto', 'name_l', 'name_r')
        """
    )
    size = int(part.sql("SELECT count(*) FROM numbered").fetchall()[0][0])
    labels = components(*edges(part, settings), size)
    largest = int(np.bincount(labels).max(initial=0))
    if largest > settings.max_component_size:
        # Which improbable pairs of it are known depends on how it grew.
        raise TooMuchError(f"{largest:,} records that look alike are one component")
    complete_pairs(part, model, settings, labels)


def _keep_touched(part: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Leave of `numbered`, `pair` and `members` what is touched, numbered without gaps.

    Leaves `beside` and `beside_pairs`, see `workspace`, of what is nearby.
    """
    part.execute(
        f"""
        CREATE OR REPLACE TABLE inner_positions AS
        SELECT row_number() OVER (ORDER BY rid) - 1 AS place, rid, number, source, record_id
        FROM positions WHERE inside;
        CREATE OR REPLACE TABLE numbered AS
        SELECT place AS rid, source, record_id FROM inner_positions;
        CREATE OR REPLACE TABLE members AS
        SELECT i.place AS rid, m.account_key FROM members AS m
        JOIN inner_positions AS i ON i.rid = m.rid;
        CREATE OR REPLACE TABLE beside AS
        SELECT (SELECT count(*) FROM numbered) + row_number() OVER (ORDER BY number) - 1 AS rid, *
        FROM links_around WHERE NOT inside;
        CREATE OR REPLACE TABLE places AS
        SELECT number, place FROM inner_positions UNION ALL SELECT number, rid FROM beside;
        CREATE OR REPLACE TABLE beside_pairs AS
        SELECT a.place AS l, b.place AS r, p_home FROM (
            FROM old_homes
            UNION ALL
            SELECT a.number, b.number, p_home FROM pair
            JOIN positions AS a ON a.rid = pair.l JOIN positions AS b ON b.rid = pair.r
            WHERE p_home >= {settings.household_threshold} AND NOT (a.inside AND b.inside)
        ) AS p
        JOIN places AS a ON a.number = p.l JOIN places AS b ON b.number = p.r;
        CREATE OR REPLACE TABLE pair AS
        SELECT a.place AS l, b.place AS r, p.* EXCLUDE (l, r) FROM pair AS p
        JOIN inner_positions AS a ON a.rid = p.l JOIN inner_positions AS b ON b.rid = p.r
        """
    )
