"""Survivorship rules as one SELECT.

Each table is read once. Within it a customer's rows get their place by the order that a rule asks
for (rules mostly ask for the same one), and the first row that has a value is the table's
candidate. Then the candidates of the tables stand side by side in one row per customer, and a CASE
picks the winner. Comparing whole structs instead would cost three times as much.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from personalization_assets.profiles.survivorship import ATTRIBUTES, TABLES, Rule
from personalization_assets.sql_text import quoted

AS_OF = "getvariable('as_of')::TIMESTAMP"
UNDATED = "9000000000000000000"
"""Age of a record without a date: older than every dated one."""

AVOIDED = {
    "hard_bounced": ("bounced.email IS NOT NULL", 2),
    "no_opt_in": ("agreed.email IS NULL", 1),
}
"""Why an address is taken only where there is no other: condition and how bad it is."""

# A yes counts only from a record that holds the address (see profiles.consents); so where a person
# has several, the one that agreed is the one to write to.
AGREED = f"""agreed_addresses AS (
  SELECT l.customer_id, s.email
  FROM (
    SELECT source, record_id, email, email_marketing AS allowed FROM standardized.preferences
    WHERE NOT email_marketing OR coalesce(updated_at <= {AS_OF}, true)
    UNION ALL
    SELECT source, record_id, email, email_opt_in AS allowed FROM standardized.crm_contacts
  ) AS s
  INNER JOIN identity.links AS l ON l.source = s.source AND l.record_id = s.record_id
  WHERE s.email IS NOT NULL
  GROUP BY l.customer_id, s.email
  HAVING bool_and(s.allowed)
)"""


def compile_rules(rules: Mapping[str, Rule]) -> str:
    """The rules as one SELECT: customer_id, each attribute with its `_origin`, `updated_at`.

    It reads `identity.links`, `profiles.email_addresses` and the standardized tables that the rules
    name, and the variable `as_of`. One row per customer in `identity.links`, key customer_id.
    """
    tables = [_Table(t, rules) for t in TABLES if any(t in _from(r) for r in rules.values())]
    picks = [_pick(name, rules[name]) for name in ATTRIBUTES if rules[name].candidates]
    joins = "".join(
        f"\n  LEFT JOIN {t.name}_best AS {t.name} ON {t.name}.customer_id = c.customer_id"
        for t in tables
    )
    updated = ", ".join(f"{t.name}.updated_at" for t in tables) or "NULL"
    parts = [
        "customers AS (SELECT DISTINCT customer_id FROM identity.links)",
        *([AGREED] if any("no_opt_in" in r.avoid for r in rules.values()) else ()),
        *(t.facts() for t in tables),
        *(_votes(n, r) for n, r in rules.items() if r.wins == "agreement" and r.candidates),
        *(t.best() for t in tables),
        "side_by_side AS (\n  SELECT c.customer_id,"
        f" greatest({updated}, NULL)::TIMESTAMP AS updated_at"
        + "".join(f",\n    {column}" for t in tables for column in t.passed_on())
        + f"\n  FROM customers AS c{joins}\n)",
        "picked AS (\n  SELECT *"
        + "".join(f",\n    {pick}" for pick in picks)
        + "\n  FROM side_by_side\n)",
    ]
    columns = ",\n  ".join(_output(name, rules) for name in ATTRIBUTES)
    return f"WITH {', '.join(parts)}\nSELECT customer_id,\n  {columns},\n  updated_at\nFROM picked"


@dataclass(frozen=True)
class _Table:
    """The part of the SELECT that reads one standardized table."""

    name: str
    rules: Mapping[str, Rule]

    @property
    def fed(self) -> dict[str, str]:
        """The attributes that the table feeds, and its columns for them."""
        return {n: _from(self.rules[n])[self.name] for n in ATTRIBUTES if self._feeds(n)}

    def _feeds(self, attribute: str) -> bool:
        return self.name in _from(self.rules[attribute])

    def followers(self, leader: str) -> list[str]:
        """The attributes that come from the record that won for another."""
        return [n for n in ATTRIBUTES if self.rules[n].together_with == leader]

    def column_of(self, attribute: str) -> str | None:
        """Where the table holds an attribute: as its rule says, else the column of that name."""
        named = self.fed.get(attribute)
        return named or (attribute if attribute in TABLES[self.name].columns else None)

    def facts(self) -> str:
        """What the table says by customer; what a record repeats in many events is one row."""
        about = TABLES[self.name]
        needed: set[str | None] = set(self.fed.values())
        needed |= {self.column_of(f) for n in self.fed for f in self.followers(n)}
        values = "".join(
            f", nullif(f.{c}, '') AS {c}" if about.columns[c] == "VARCHAR" else f", f.{c} AS {c}"
            for c in about.columns
            if c in needed
        )
        if about.event_id:
            rows = (
                f"SELECT f.source, f.record_id{values}, max({about.at}) AS said_at,"
                f" min(f.{about.event_id}) AS tie\n    FROM standardized.{self.name} AS f"
                f" WHERE f.record_id IS NOT NULL AND coalesce({about.at} <= {AS_OF}, true)"
                f" GROUP BY ALL"
            )
        else:
            rows = (
                f"SELECT f.source, f.record_id{values},"
                f" CASE WHEN {about.at} > {AS_OF} THEN {AS_OF} ELSE {about.at} END AS said_at,"
                " '' AS tie"
                f"\n    FROM standardized.{self.name} AS f WHERE f.record_id IS NOT NULL"
            )
        avoid = self.rules["email"].avoid if self._feeds("email") else ()
        bad = " + ".join("CASE WHEN {} THEN {} ELSE 0 END".format(*AVOIDED[why]) for why in avoid)
        avoided = f", {bad} AS avoided" if avoid else ""
        joins = ""
        if "hard_bounced" in avoid:
            joins += (
                "\n  LEFT JOIN profiles.email_addresses AS bounced"
                f" ON bounced.is_hard_bounced AND bounced.email = f.{self.fed['email']}"
            )
        if "no_opt_in" in avoid:
            joins += (
                "\n  LEFT JOIN agreed_addresses AS agreed ON agreed.customer_id = l.customer_id"
                f" AND agreed.email = f.{self.fed['email']}"
            )
        said = "".join(
            f" lower(strip_accents(f.{column})) AS {name}_said,"
            for name, column in self.fed.items()
            if self.rules[name].wins == "agreement"
        )
        return (
            f"{self.name}_facts AS (\n  SELECT l.customer_id, f.*,{said}"
            f" f.source || '/' || f.record_id AS origin,"
            f" coalesce(-epoch_us(f.said_at), {UNDATED}) AS age{avoided}\n  FROM (\n    {rows}\n"
            f"  ) AS f\n  INNER JOIN identity.links AS l"
            f" ON l.source = f.source AND l.record_id = f.record_id{joins}\n)"
        )

    def best(self) -> str:
        """Each customer's candidate per attribute: value, origin, age and what else decides."""
        orders = {n: self._order(n) for n in self.fed}
        distinct = list(dict.fromkeys(orders.values()))
        places = "".join(
            f",\n      row_number() OVER (PARTITION BY customer_id ORDER BY {order}) AS place_{i}"
            for i, order in enumerate(distinct)
        )
        columns = []
        for name, column in self.fed.items():
            place = f"place_{distinct.index(orders[name])}"
            only = f"FILTER (WHERE {column} IS NOT NULL)"
            columns.append(f"arg_min({column}, {place}) AS {name}")
            for extra, expression in self._extras(name).items():
                columns.append(f"arg_min({expression}, {place}) {only} AS {name}_{extra}")
            for follower in self.followers(name):
                mapped = self.column_of(follower)
                # The follower's empty value counts: it is the winning record that is silent.
                columns.append(
                    f"arg_min_null({mapped}, {place}) {only} AS {name}_{follower}"
                    if mapped
                    else f"NULL::{ATTRIBUTES[follower]} AS {name}_{follower}"
                )
        listed = ",\n    ".join(columns)
        counted = "".join(
            f"\n    LEFT JOIN {name}_votes USING (customer_id, {name}_said)"
            for name in self.fed
            if self.rules[name].wins == "agreement"
        )
        return (
            f"{self.name}_best AS (\n"
            f"  SELECT customer_id, max(said_at) AS updated_at,\n    {listed}"
            f"\n  FROM (\n    SELECT *{places}\n    FROM {self.name}_facts{counted}\n  ) AS placed"
            f"\n  GROUP BY customer_id\n)"
        )

    def passed_on(self) -> list[str]:
        """The candidates' columns, named by table."""
        names: list[str] = []
        for name in self.fed:
            names.append(name)
            names += [f"{name}_{extra}" for extra in self._extras(name)]
            names += [f"{name}_{follower}" for follower in self.followers(name)]
        return [f"{self.name}.{n} AS {self.name}_{n}" for n in names]

    def _order(self, name: str) -> str:
        """The order of a customer's rows in this table for one attribute; always total."""
        rule = self.rules[name]
        keys = ["age", "origin", "tie"]
        if rule.sources:
            cases = " ".join(f"WHEN {quoted(s)} THEN {i}" for i, s in enumerate(rule.sources))
            source = f"CASE source {cases} ELSE {len(rule.sources)} END"
            keys.insert(1 if rule.wins == "recency" else 0, source)
        if rule.wins in ("completeness", "agreement"):
            keys.insert(0, self._key(name))
        if rule.avoid:
            keys.insert(0, "avoided")
        return ", ".join(keys)

    def _key(self, name: str) -> str:
        """What a rule compares between tables; the least wins."""
        keys = {
            "recency": "age",
            "completeness": f"-length({self.fed[name]}::VARCHAR)",
            "agreement": f"-{name}_votes",
        }
        return keys[self.rules[name].wins]

    def _extras(self, name: str) -> dict[str, str]:
        rule = self.rules[name]
        extras = {"origin": "origin"}
        if rule.wins != "rank":
            extras["key"] = self._key(name)
        if rule.avoid:
            extras["avoided"] = "avoided"
        return extras


def _votes(name: str, rule: Rule) -> str:
    """How many of a customer's records say the same, whatever its case and accents."""
    said = "\n    UNION ALL ".join(
        f"SELECT customer_id, {name}_said FROM {table}_facts" for table in _from(rule)
    )
    return (
        f"{name}_votes AS (\n  SELECT customer_id, {name}_said, count(*) AS {name}_votes\n"
        f"  FROM (\n    {said}\n  ) AS said\n"
        f"  WHERE {name}_said IS NOT NULL\n  GROUP BY customer_id, {name}_said\n)"
    )


def _pick(name: str, rule: Rule) -> str:
    """Which table's candidate wins, as its number in `from`; empty where none has a value."""
    tables = list(_from(rule))
    any_candidate = _first_of(name, rule, tables, "")
    if rule.avoid:
        worst = sum(AVOIDED[why][1] for why in rule.avoid)
        wanted = [
            _first_of(name, rule, tables, f"{{table}}_{name}_avoided <= {bad}")
            for bad in range(worst)
        ]
        return f"coalesce({', '.join(wanted)}, {any_candidate}) AS {name}_pick"
    return f"{any_candidate} AS {name}_pick"


def _first_of(name: str, rule: Rule, tables: list[str], condition: str) -> str:
    """The first table whose candidate has the least key (with rank: any value) and may count."""
    conditions = {t: condition.format(table=t) for t in tables}
    if rule.wins == "rank":
        tests = {
            t: " AND ".join(filter(None, [f"{t}_{name} IS NOT NULL", conditions[t]]))
            for t in tables
        }
    else:
        keys = {
            t: f"CASE WHEN {conditions[t]} THEN {t}_{name}_key END"
            if conditions[t]
            else f"{t}_{name}_key"
            for t in tables
        }
        least = f"least({', '.join(keys.values())}, NULL)"
        tests = {t: f"{keys[t]} = {least}" for t in tables}
    whens = " ".join(f"WHEN {tests[t]} THEN {i}" for i, t in enumerate(tables))
    return f"CASE {whens} END"


def _output(name: str, rules: Mapping[str, Rule]) -> str:
    """The winning value and its origin; a follower takes them from its leader's record."""
    rule = rules[name]
    value, origin = _picked(name, rule, "", ATTRIBUTES[name])
    leader = rule.together_with
    if leader and rules[leader].candidates:
        led, led_origin = _picked(leader, rules[leader], f"_{name}", ATTRIBUTES[name])
        leads = f"{led} IS NOT NULL" if rule.fill_gaps else f"{leader}_pick IS NOT NULL"
        origin = (
            f"CASE WHEN {led} IS NOT NULL THEN {led_origin} WHEN NOT ({leads}) THEN {origin} END"
        )
        value = f"CASE WHEN {leads} THEN {led} ELSE {value} END"
    return f"{value} AS {name}, {origin} AS {name}_origin"


def _picked(name: str, rule: Rule, suffix: str, kind: str) -> tuple[str, str]:
    tables = list(_from(rule))
    if not tables:
        return f"NULL::{kind}", "NULL::VARCHAR"
    values = " ".join(f"WHEN {i} THEN {t}_{name}{suffix}" for i, t in enumerate(tables))
    origins = " ".join(f"WHEN {i} THEN {t}_{name}_origin" for i, t in enumerate(tables))
    return f"CASE {name}_pick {values} END", f"CASE {name}_pick {origins} END"


def _from(rule: Rule) -> dict[str, str]:
    return dict(rule.candidates)
