"""Contracts: what a table promises, written once as a Pandera model and used everywhere.

A `DataFrameModel` in `<room>/contracts.py` is the only place where a table's columns, their
meaning and their rules are written. From it come the DDL and the comments in DuckDB, the column
schema in the Dagster catalog, one Dagster check per rule, the reasons a row is quarantined for,
the verdict on a single record, and a data contract that others can read.

- `contract`: what a contract is: columns, rules, how many rejected rows are too many
- `reading`: a Pandera model as a contract
- `predicates`: a rule's condition in polars, in SQL and for one record
- `patterns`: regular expressions that all three read alike
- `auditing`: the verdict on a frame
- `overrides`: what a user's settings change
- `records`: the verdict on a single record
- `exchange`: the contract in the Open Data Contract Standard

What belongs here: saying what holds and judging rows by it. Building assets out of contracts is in
`tables.py`.
"""

from personalization_assets.contracts.contract import (
    FAILED_CASTS,
    Audit,
    Column,
    Contract,
    Rule,
    Severity,
    duckdb_type,
    required,
)
from personalization_assets.contracts.reading import contract_of, frame_rule

__all__ = [
    "FAILED_CASTS",
    "Audit",
    "Column",
    "Contract",
    "Rule",
    "Severity",
    "contract_of",
    "duckdb_type",
    "frame_rule",
    "required",
]
