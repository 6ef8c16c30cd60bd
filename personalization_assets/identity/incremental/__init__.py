"""The same answer as a run over all records, from what has changed since the last one.

`changed` finds the records that are new, changed or gone and describes anew whatever is described
together with them. `neighbours` finds which pairs may score otherwise than before, `reach` all
records that these pairs reach, and `relinking` links those as a full run would. Nothing is
estimated: in doubt a part is done again, and `baseline` says when there is nothing to build on.

All functions work on one connection, see `workspace.beside`, where the tables of the last run are
views: `records` (as they are now), `decisions`, `blocklist`, `descriptions_before`,
`matches_before`, `previous`, `former` and `ledger`.
"""
