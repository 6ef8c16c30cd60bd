"""Whatever people and runs do to rows, in whatever order: every row is in one, the right place."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_assets.errors import UserError
from personalization_assets.standardized import decisions
from personalization_assets.standardized.choosing import Choice, chosen
from personalization_assets.standardized.deciding import decide, withdraw
from personalization_assets.standardized.releasing import refusal
from personalization_assets.standardized.replay import Command
from personalization_tests.standardized.quarantine_world import World, world

CONTACTS = st.tuples(
    st.sampled_from(["1", "2", "3", ""]),
    st.sampled_from(["Anna", "n/a", ""]),
    st.just(""),
    st.sampled_from(["", "01.02.2024", "01.03.2024", "soon"]),
).map(",".join)
LINES = st.tuples(
    st.sampled_from(["A", "B", ""]),
    st.just("2024-01-01"),
    st.just("10"),
    st.sampled_from(["p1", "p2"]),
    st.just("Toys"),
    st.sampled_from(["1", "x", "0"]),
    st.sampled_from(["5", "-5", "-9"]),
).map(",".join)
UNREADABLE = st.just("1,2,3,4,5,6,7,8,9")

STRICT: dict[str, dict[str, dict[str, Any]]] = {
    "crm_contacts": {
        "contact.reachable": {"severity": "error"},
        "updated_at.type": {"severity": "error"},
    },
    "order_lines": {
        "quantity.not_equal_to": {"severity": "error"},
        "unit_price.range": {"min": 0},
    },
}
LOOSE: dict[str, dict[str, dict[str, Any]]] = {
    "crm_contacts": {
        "contact.reachable": {"severity": "warning"},
        "updated_at.type": {"severity": "warning"},
    },
    "order_lines": {
        "quantity.not_equal_to": {"severity": "warning"},
        "unit_price.range": {"min": -7},
    },
}


class Steps:
    """Does what a step says, and holds the warehouse against one that is built anew."""

    def __init__(self, shop: World, table: str) -> None:
        self.shop, self.table = shop, table
        self.strict = dict.fromkeys(STRICT[table], True)
        self.as_whole = True  # what lies in the table is what a whole run would give
        self.tightened = False  # since the last whole run
        self.set_rules()

    def set_rules(self) -> None:
        chosen = {r: (STRICT if on else LOOSE)[self.table][r] for r, on in self.strict.items()}
        self.shop.rules = {self.table: chosen}

    def deliver(self, number: int, lines: list[str]) -> None:
        name = "crm" if self.table == "crm_contacts" else "shop"
        self.shop.deliver(f"{name}_{number}", *lines)
        self.run(0)

    def change(self, which: int) -> None:
        rule = sorted(self.strict)[which % len(self.strict)]
        self.strict[rule] = not self.strict[rule]
        # A tighter rule is about accepted rows too, so only a whole run is right about them.
        self.as_whole = False
        self.tightened = self.tightened or self.strict[rule]
        self.set_rules()

    def run(self, _: int) -> None:
        self.shop.run()
        self.as_whole, self.tightened = True, False

    def replay(self, _: int) -> None:
        self.shop.replay()
        self.as_whole = self.as_whole or not self.tightened
        admitted = sum(o.admitted for o in self.shop.replay())
        assert admitted == 0, "a second replay admitted rows again"

    def part(self, which: int) -> None:
        self.shop.replay(f"status = 'waiting' AND row_key LIKE '%{which}'")

    def decide(self, kind: decisions.Kind, which: int) -> None:
        desk, command = self.shop.desk(), Command("one", kind, "tester")
        waiting = chosen(self.shop.con, Choice(statuses=("waiting",)))
        if waiting.is_empty():
            return
        row = waiting[which % waiting.height]
        contract = desk.contracts[self.table]
        if kind == "release" and any(refusal(contract, r) for r in row["reasons"][0]):
            with pytest.raises(UserError, match="cannot be released"):
                decide(desk, kind, row, command, None)
            return
        decide(desk, kind, row, command, None)

    def release(self, which: int) -> None:
        self.decide("release", which)

    def discard(self, which: int) -> None:
        self.decide("discard", which)

    def withdraw(self, which: int) -> None:
        binding = decisions.read_decisions(self.shop.decisions).filter("binds")
        if binding.height:
            name = binding["decision_id"][which % binding.height]
            withdraw(self.shop.desk(), name, Command("one", "withdraw", "tester"))

    def check(self) -> None:
        self.shop.assert_sound()
        if self.as_whole:
            assert self.shop.state() == self.shop.fresh()


NAMES = ["change", "run", "replay", "part", "release", "discard", "withdraw"]
NUMBER = st.integers(0, 5)
MORE = st.lists(st.tuples(st.sampled_from(NAMES), NUMBER), min_size=2, max_size=5)


@settings(deadline=None, max_examples=3, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), table=st.sampled_from(sorted(STRICT)))
def test_every_row_is_in_one_place_and_in_the_right_one(data: st.DataObject, table: str) -> None:
    rows = st.lists((CONTACTS if table == "crm_contacts" else LINES) | UNREADABLE, max_size=6)
    tables = ("crm_contacts",) if table == "crm_contacts" else ("orders", "order_lines")
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), tables=tables) as shop:
        steps = Steps(shop, table)
        for number in range(2):
            steps.deliver(number, data.draw(rows, f"file {number}"))
            steps.check()
            for name, which in data.draw(MORE, "steps"):
                getattr(steps, name)(which)
                steps.check()
