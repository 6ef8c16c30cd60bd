"""Golden profiles: one row per customer with everything the shop knows and may use.

Here belong the survivorship rules (`survivorship.py`, the rules themselves are data in
`data/survivorship.yaml`), the assets that are not one SELECT, and checks across the room's tables.
The measures are SQL models in `dbt_like_sql/profiles/`. Who is who is decided in `identity`; what
to recommend or send is decided later.
"""
