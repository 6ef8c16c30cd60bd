"""SQL models: a file `dbt_like_sql/<room>/<table>.sql` becomes the asset `<room>/<table>`.

The file holds one SELECT. Its header comment says what the table is:

    -- Recency, frequency and money per customer.
    -- @grain: one row per customer
    -- @key: customer_id
    -- @owner: team:crm
    -- @pii: false
    -- @column customer_id: Stable id of the person
    -- @renamed revenue_base: revenue
    -- @rule not_in_the_future: last_order_at <= getvariable('as_of')
    -- @warn large: revenue_base < 1e7

Dependencies and column lineage are read from the SELECT by sqlglot: a table that the SELECT reads
is an upstream asset. Rules are conditions on a row; a row that breaks one stops the publish
(`@rule`) or is counted (`@warn`). Columns of the key are never empty and together unique.
`@renamed` gives the name that a column had in the version before.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dagster as dg
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from personalization_assets.contracts import Column, Contract, Rule, Severity, required
from personalization_assets.errors import UserError
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Query

DIALECT = "duckdb"
ANNOTATIONS = frozenset(
    {"grain", "key", "owner", "pii", "column", "renamed", "rule", "warn", "version", "tag"}
)


@dataclass(frozen=True)
class SqlModel:
    """One file: its contract as the header states it, and its SELECT."""

    path: Path
    contract: Contract
    sql: str
    tree: exp.Query
    tags: Mapping[str, str]

    @property
    def reads(self) -> list[str]:
        """The `room.table` names that the SELECT reads, without itself."""
        names = {f"{t.db}.{t.name}" for t in self.tree.find_all(exp.Table) if t.db} - {
            self.contract.name
        }
        return sorted(names)

    def lineage(self, schemas: Mapping[str, Mapping[str, str]]) -> dg.TableColumnLineage:
        """Which upstream columns each output column is made of; `schemas` are known tables.

        Raises:
            SqlglotError: a bare column name fits several tables, or one whose columns are unknown.
        """
        from sqlglot.lineage import Node
        from sqlglot.lineage import lineage as column_lineage

        nested: dict[str, dict[str, dict[str, str]]] = {}
        for name, columns in schemas.items():
            room, table = name.split(".")
            nested.setdefault(room, {})[table] = dict(columns)
        nodes = cast(
            dict[str, Node],
            # trimmed labels of the nodes would cost a copy of the SELECT for each of its columns
            column_lineage(None, self.tree, nested, dialect=DIALECT, trim_selects=False),
        )
        deps: dict[str, list[dg.TableColumnDep]] = {}
        for column, node in nodes.items():
            found = {
                (leaf.expression.db, leaf.expression.name, leaf.name.split(".")[-1].strip('"'))
                for leaf in node.walk()
                if isinstance(leaf.expression, exp.Table) and leaf.expression.db
            }
            deps[column] = [
                dg.TableColumnDep(asset_key=dg.AssetKey([room, table]), column_name=name)
                for room, table, name in sorted(found)
                if name != "*"
            ]
        return dg.TableColumnLineage(deps_by_column=deps)


def read_sql_models(folder: Path) -> list[SqlModel]:
    """Every model under a folder, in order of room and table.

    Raises:
        UserError: a header or a SELECT is not as described above.
    """
    return [read_sql_model(path) for path in sorted(folder.glob("*/*.sql"))]


def read_sql_model(path: Path) -> SqlModel:
    """Read one file."""
    text = path.read_text(encoding="utf-8")
    header, sql = _split_header(text)
    description: list[str] = []
    single: dict[str, str] = {}
    columns: dict[str, str] = {}
    rules: list[Rule] = []
    tags: dict[str, str] = {}
    renamed: dict[str, str] = {}
    in_description = True
    for line in header:
        annotation = re.match(r"@(\w+)(?:\s+([\w.]+))?\s*:\s*(.*)", line)
        if not annotation:
            if line.startswith("@"):
                raise UserError(f"{path}: the header line `{line}` must read `@name: value`.")
            if in_description:
                description.append(line)
            elif line and columns:  # a note that goes on over the next line
                last = next(reversed(columns))
                columns[last] += " " + line
            continue
        in_description = False
        kind, name, value = annotation.groups()
        if kind not in ANNOTATIONS:
            raise UserError(
                f"{path}: `@{kind}` is not known in a header; use one of "
                f"{', '.join(sorted(ANNOTATIONS))}."
            )
        if kind == "column":
            columns[name] = value
        elif kind in ("rule", "warn"):
            severity: Severity = "error" if kind == "rule" else "warning"
            rules.append(Rule(name, severity, f"{name.replace('_', ' ')}: {value}", None, value))
        elif kind == "tag":
            tags[name] = value
        elif kind == "renamed":
            renamed[name] = value
        else:
            single[kind] = value
    tree = _parse(path, sql)
    _check_columns(path, tree, columns)
    for name in renamed.keys() - columns.keys():
        raise UserError(f"{path}: `@renamed {name}` has no `@column` note of that name; add it.")
    key = tuple(k.strip() for k in single.get("key", "").split(",") if k.strip())
    if not key:
        raise UserError(f"{path}: the header names no key; add a line `-- @key: <column>`.")
    unique = Rule("key.unique", "error", f"one row per {', '.join(key)}")
    contract = Contract(
        room=path.parent.name,
        table=path.stem,
        description=" ".join(" ".join(description).split()),
        grain=single.get("grain", f"one row per {', '.join(key)}"),
        key=key,
        version=int(single.get("version", 1)),
        owner=single.get("owner", "team:data"),
        pii=single.get("pii", "false").lower() == "true",
        reject_limit=0.0,
        columns=tuple(
            Column(name, None, "", name not in key, note, renamed_from=renamed.get(name))
            for name, note in columns.items()
        ),
        rules=(*(required(k, structural=True) for k in key), unique, *rules),
    )
    return SqlModel(path, contract, sql, tree, tags)


def sql_model_assets(
    models: Sequence[SqlModel], others: Iterable[dg.AssetsDefinition] = ()
) -> list[dg.AssetsDefinition]:
    """One asset per model; the columns of the `others` let lineage resolve bare names."""
    schemas = {m.contract.name: {c.name: "VARCHAR" for c in m.contract.columns} for m in models}
    for spec in (spec for asset in others for spec in asset.specs):
        schema = spec.metadata.get("dagster/column_schema")
        if isinstance(schema, dg.TableSchema):
            schemas[".".join(spec.key.path)] = {c.name: c.type for c in schema.columns}
    return [_asset(model, schemas) for model in models]


def _asset(model: SqlModel, schemas: Mapping[str, Mapping[str, str]]) -> dg.AssetsDefinition:
    def build(run: Run) -> Query:
        names = ", ".join(f'"{c.name}"' for c in model.contract.columns)
        return Query(f"SELECT {names} FROM (\n{model.sql}\n)")

    def lineage(run: Run) -> dg.TableColumnLineage | None:
        try:
            return model.lineage({n: schemas[n] for n in model.reads if n in schemas})
        except SqlglotError as error:
            # The table is right all the same; only the picture of its columns is missing.
            run.log.warning("%s has no column lineage: %s", model.contract.name, error)
            return None

    return table_asset(
        contract=model.contract,
        deps=[name.replace(".", "/") for name in model.reads],
        kinds={"sql"},
        tags=model.tags,
        lineage=lineage,
    )(build)


def _split_header(text: str) -> tuple[list[str], str]:
    lines = text.splitlines()
    header: list[str] = []
    while lines and (lines[0].startswith("--") or not lines[0].strip()):
        line = lines.pop(0)
        if line.startswith("--"):
            header.append(line[2:].strip())
    return header, "\n".join(lines).strip().rstrip(";")


def _parse(path: Path, sql: str) -> exp.Query:
    try:
        trees = [t for t in sqlglot.parse(sql, dialect=DIALECT) if t is not None]
    except SqlglotError as error:
        reason = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
        raise UserError(f"{path} is not SQL that can be read: {reason[:200]}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise UserError(f"{path} must hold exactly one SELECT.")
    return trees[0]


def _check_columns(path: Path, tree: exp.Query, columns: Mapping[str, str]) -> None:
    """Every output column has a note and every note has a column (unless the SELECT has a star)."""
    if tree.is_star:
        return
    written = [name for name in tree.named_selects if name]
    without = [name for name in written if name not in columns]
    if without:
        raise UserError(f"{path}: the header has no `@column` note for {', '.join(without)}.")
    gone = [name for name in columns if name not in written]
    if gone:
        raise UserError(
            f"{path}: the header describes {', '.join(gone)}, which the SELECT does not give."
        )
