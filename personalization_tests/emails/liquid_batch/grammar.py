"""Random templates: every tag, filter and kind of expression that the compiler knows.

Templates are mostly believable (a number goes to a filter for numbers) and now and then not. Names
collide on purpose: loop variables, locals, counters and arguments are also columns or constants.
"""

import random
from collections.abc import Callable, Sequence

from personalization_tests.emails.liquid_batch.vocabulary import (
    CELLS,
    FIELDS,
    FILTERS,
    FORMATS,
    ITEMS,
    LITERALS,
    LOCALS,
    PARTIALS,
    PATHS,
    PROPERTIES,
)


class Grammar:
    """Writes one template, and the partials that it uses, from a source of random numbers."""

    def __init__(self, rng: random.Random, *, include: bool = True) -> None:
        self.rng = rng
        self._include = include
        self._loops: list[tuple[str, str]] = []
        self._partials: list[str] = []
        self._plain = False  # inside a `liquid` tag
        self._budget = 0

    def template(self) -> tuple[str, dict[str, str]]:
        """The template's text, and that of each partial."""
        partials = {}
        for depth, name in enumerate(PARTIALS):
            self._partials = list(PARTIALS[:depth])
            self._budget = 6
            partials[name] = self.body(2)
        self._partials = list(PARTIALS)
        self._budget = self.rng.choice((3, 6, 12, 25))
        return self.body(0), partials

    # --- expressions -----------------------------------------------------------------------------

    def path(self, kind: str) -> str:
        """A path that probably leads to a value of a kind."""
        if self.rng.random() < 0.08:
            kind = self.rng.choice(list(PATHS))
        if self._loops and self.rng.random() < 0.55:
            found = self._of_loop(kind)
            if found:
                return found
        if self.rng.random() < 0.18:
            return self.rng.choice(LOCALS)
        return self.rng.choice(PATHS[kind])

    def _of_loop(self, kind: str) -> str | None:
        name, holds = self.rng.choice(self._loops)
        if name == "tablerowloop":
            return f"tablerowloop.{self.rng.choice(CELLS)}"
        chance = self.rng.random()
        if chance < 0.003:
            return "forloop"
        if chance < 0.2:
            of = self.rng.choice(("forloop", "forloop", "forloop", "forloop.parentloop"))
            return f"{of}.{self.rng.choice(PROPERTIES)}"
        if holds == "product":
            fields = {
                "text": ("name", "maker.name", "tags.first"),
                "number": ("price", "was", "rating", "stock", "maker.size", "tags.size"),
                "list": ("tags",),
                "flag": ("sale",),
            }.get(kind, FIELDS)
            return f"{name}.{self.rng.choice(fields)}" if chance < 0.93 else name
        return name if holds == kind or chance < 0.5 else None

    def primitive(self, kind: str) -> str:
        """A path or a literal."""
        rng = self.rng
        if kind == "date" and rng.random() < 0.8:
            return rng.choice(FORMATS)
        if rng.random() < 0.4 and kind in LITERALS:
            return rng.choice(LITERALS[kind])
        if rng.random() < 0.04:
            return self.range()
        return self.path(kind)

    def range(self) -> str:
        """A range of few numbers."""
        ends = ("1", "2", "0", "-1", "few", "customer.tags.size", "forloop.index", "words.size")
        return f"({self.rng.choice(ends)}..{self.rng.choice((*ends, '3', '5'))})"

    def filtered(self, kind: str | None = None) -> str:
        """A value with any number of filters."""
        rng = self.rng
        kind = kind or rng.choice(
            ("text", "text", "number", "number", "list", "flag", "date", "any")
        )
        out = self.primitive(kind)
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 2, 3))):
            if rng.random() < 0.06:
                kind = rng.choice(list(FILTERS))
            name, gives = rng.choice(FILTERS[kind])
            if name in ("concerned", "json") and rng.random() < 0.9:
                continue
            while "$" in name:
                at = name.index("$")
                wanted = next(k for k in (*PATHS, "date") if name.startswith(k, at + 1))
                name = name[:at] + self.primitive(wanted) + name[at + 1 + len(wanted) :]
            out += f" | {name}"
            kind = gives
        return out

    def expression(self) -> str:
        """What an output or assignment takes: filtered, or one of two."""
        if self.rng.random() > 0.08:
            return self.filtered()
        tail = f" || {self.rng.choice(('upcase', 'size', 'append: $x'))}".replace("$x", "'!'")
        other = f" else {self.filtered()}" if self.rng.random() < 0.7 else ""
        return f"{self.filtered()} if {self.condition(1)}{other}" + (
            tail if self.rng.random() < 0.3 else ""
        )

    def condition(self, depth: int = 0) -> str:
        """A condition."""
        rng = self.rng
        chance = rng.random()
        if depth < 3 and chance < 0.2:
            left, right = self.condition(depth + 1), self.condition(depth + 1)
            both = f"{left} {rng.choice(('and', 'or'))} {right}"
            return f"({both})" if rng.random() < 0.2 else both
        if depth < 3 and chance < 0.25:
            return f"not {self.condition(3)}"
        if chance < 0.45:
            return self.primitive(rng.choice(("flag", "text", "any", "number", "list")))
        kind = rng.choice(("text", "number", "number", "any", "flag", "date", "list"))
        operators = ["==", "!=", "<>", "contains", "==", "=="]
        if kind in ("number", "date") or rng.random() < 0.1:
            operators += ["<", ">", "<=", ">="] * 2
        right = kind if rng.random() < 0.6 else "any"
        pair = [self.primitive(kind), self.primitive(right)]
        if rng.random() < 0.15:
            pair.reverse()
        return f"{pair[0]} {rng.choice(operators)} {pair[1]}"

    # --- tags ------------------------------------------------------------------------------------

    def tag(self, text: str) -> str:
        """A tag, with whitespace control now and then."""
        if self._plain:
            return text + "\n"
        left, right = (self.rng.choice(("", "", "", "", "-")) for _ in range(2))
        return f"{{%{left} {text} {right}%}}"

    def body(self, depth: int) -> str:
        """Nodes."""
        return "".join(self.node(depth) for _ in range(self.rng.randrange(1, 5)))

    def node(self, depth: int) -> str:
        """Any node."""
        rng = self.rng
        self._budget -= 1
        if depth > 4 or self._budget < 0:
            return self.leaf()
        if rng.random() < 0.42:
            return self.leaf()
        writers: Sequence[tuple[int, Callable[[int], str]]] = (
            (5, self.if_), (2, self.case), (8, self.for_), (2, self.tablerow), (2, self.capture),
            (5, self.assign), (2, self.counter), (2, self.cycle), (1, self.ifchanged),
            (2, self.partial), (1, self.liquid), (1, self.comment),
            (0 if self._plain else 2, self.shelf),
        )  # fmt: skip
        pick = rng.choices([w for _, w in writers], [n for n, _ in writers])[0]
        return pick(depth)

    def leaf(self) -> str:
        """Text, an output, or a way out of a loop."""
        rng = self.rng
        if rng.random() < (0.1 if self._loops else 0.004):
            jump = self.tag(rng.choice(("break", "continue")))
            if rng.random() < 0.75:
                return self.tag(f"if {self.condition(2)}") + jump + self.tag("endif")
            return jump
        if rng.random() < 0.01:
            return self.tag(f"abort_message {rng.choice(('s', repr('why'), 'nosuch'))}")
        if rng.random() < 0.3 and not self._plain:
            return rng.choice(("txt ", "<td>", "\n  ", " ", "é漢{ ", "%s'\"\\n"))
        if self._plain or rng.random() < 0.1:
            return self.tag(f"echo {self.expression()}")
        left, right = (rng.choice(("", "", "", "", "-")) for _ in range(2))
        return f"{{{{{left} {self.expression()} {right}}}}}"

    def if_(self, depth: int) -> str:
        """`if` or `unless`."""
        name = self.rng.choice(("if", "if", "unless"))
        out = self.tag(f"{name} {self.condition()}") + self.body(depth + 1)
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            out += self.tag(f"elsif {self.condition()}") + self.body(depth + 1)
        if self.rng.random() < 0.5:
            out += self.tag("else") + self.body(depth + 1)
        return out + self.tag(f"end{name}")

    def case(self, depth: int) -> str:
        """`case` with several values to each `when`."""
        rng = self.rng
        kind = rng.choice(("text", "number", "any", "flag"))
        out = self.tag(f"case {self.primitive(kind)}")
        if not self._plain:
            out += rng.choice(("", "\n", " "))
        for _ in range(rng.randrange(1, 4)):
            wanted = [self.primitive(kind) for _ in range(rng.choice((1, 1, 2, 3)))]
            out += self.tag("when " + rng.choice((", ", " or ")).join(wanted))
            out += self.body(depth + 1)
            if rng.random() < 0.15:
                out += self.tag("else") + self.body(depth + 1)
        if rng.random() < 0.6:
            out += self.tag("else") + self.body(depth + 1)
        return out + self.tag("endcase")

    def _iterable(self) -> tuple[str, str]:
        rng = self.rng
        if rng.random() < 0.15:
            return self.range(), "number"
        if rng.random() < 0.08:
            return self.path("any"), "any"
        found = self.path("list")
        if found in ("products", "viewed", "cart.items", "cart.plain"):
            return found, "product"
        if found in ("numbers", "prices"):
            return found, "number"
        return found, "list" if found == "grid" else "text"

    def _loop(self, extra: str = "") -> tuple[str, str, str]:
        rng = self.rng
        name, (iterable, holds) = rng.choice(ITEMS), self._iterable()
        options = [
            rng.choice(("limit: 2", "limit: 0", "limit: few", "limit: 3", "limit: s", "limit: -1")),
            rng.choice(("offset: 1", "offset: continue", "offset: few", "offset: continue")),
            "reversed",
        ]
        chosen = [o for o in options if rng.random() < 0.2]
        return f"{name} in {iterable} {' '.join(chosen)}{extra}", name, holds

    def shelf(self, depth: int) -> str:
        """A loop whose text is kept: its body uses the item and little else, and is long."""
        rng = self.rng
        kind = rng.choice(("cart.plain", "viewed", "products", "viewed"))
        out = ""
        for field in rng.choices(("price", "price", *FIELDS), k=rng.randrange(2, 6)):
            shown = rng.choice(("| append: '!'", "| default: 'd'", "", "", "| money"))
            compared = rng.choice(("true", "1", "0", "blank", "nil", "'vip'", "false", "2"))
            test = f"{rng.choice(('if', 'unless'))} p.{field} {rng.choice(('==', '!='))} {compared}"
            out += (
                f"{{{{ p.{field} {shown} }}}}{self.tag(test)}x{self.tag('end' + test.split()[0])}"
            )
        outside = rng.choice(("", "", "{{ forloop.index }}", "{{ forloop.last }}", "{{ n }}"))
        return self.tag(f"for p in {kind}") + out + outside + self.tag("endfor")

    def for_(self, depth: int) -> str:
        """`for`, sometimes with `else`."""
        loop, name, holds = self._loop()
        self._loops.append((name, holds))
        out = self.tag(f"for {loop}") + self.body(depth + 1)
        self._loops.pop()
        if self.rng.random() < 0.25:
            out += self.tag("else") + self.body(depth + 1)
        return out + self.tag("endfor")

    def tablerow(self, depth: int) -> str:
        """`tablerow`."""
        columns = self.rng.choice(("", " cols: 2", " cols: 1", " cols: few", " cols: s"))
        loop, name, holds = self._loop(columns)
        self._loops += [("tablerowloop", ""), (name, holds)]
        out = self.tag(f"tablerow {loop}") + self.body(depth + 1)
        del self._loops[-2:]
        return out + self.tag("endtablerow")

    def capture(self, depth: int) -> str:
        """`capture`."""
        name = self.rng.choice(LOCALS)
        return self.tag(f"capture {name}") + self.body(depth + 1) + self.tag("endcapture")

    def assign(self, depth: int) -> str:
        """`assign`, often of what the same name held before."""
        name = self.rng.choice(LOCALS[:5] if self.rng.random() < 0.8 else LOCALS)
        if self.rng.random() < 0.25:
            more = self.rng.choice(("append: 'y'", "plus: 1", "append: p.name", "times: n"))
            return self.tag(f"assign {name} = {name} | {more}")
        return self.tag(f"assign {name} = {self.expression()}")

    def counter(self, depth: int) -> str:
        """`increment` and `decrement`."""
        name = self.rng.choice(("a", "b", "k", "n", "top"))
        return self.tag(f"{self.rng.choice(('increment', 'decrement'))} {name}")

    def cycle(self, depth: int) -> str:
        """`cycle`, with and without a name."""
        kind = self.rng.choice(("text", "number", "any"))
        values = ", ".join(self.primitive(kind) for _ in range(self.rng.randrange(1, 4)))
        group = self.rng.choice(("", "", "'g': ", "s: ", "nosuch: ", "n: "))
        return self.tag(f"cycle {group}{values}")

    def ifchanged(self, depth: int) -> str:
        """`ifchanged`."""
        return self.tag("ifchanged") + self.body(depth + 1) + self.tag("endifchanged")

    def partial(self, depth: int) -> str:
        """`render` and `include`, with arguments, `with` and `for`."""
        rng = self.rng
        if not self._partials:
            return self.leaf()
        name = rng.choice(self._partials)
        kind = rng.choice(("render", "render", "include" if self._include else "render"))
        out = f"{kind} '{name if rng.random() < 0.97 else 'nosuch'}'"
        if rng.random() < 0.4:
            bind = self.path(rng.choice(("list", "text", "any")))
            out += f" {rng.choice(('for', 'with'))} {bind}" if bind[0] != "[" else ""
            out += rng.choice(("", " as item", " as p", " as a")) if bind[0] != "[" else ""
        for _ in range(rng.choice((0, 0, 1, 2))):
            given = rng.choice(("a", "p", "s", "item", "n", "shop", "partial"))
            out += f", {given}: {self.primitive(rng.choice(('text', 'number', 'list', 'any')))}"
        return self.tag(out)

    def liquid(self, depth: int) -> str:
        """`liquid`: several tags, a line each."""
        if self._plain:
            return self.leaf()
        self._plain = True
        inside = self.body(depth + 1)
        self._plain = False
        return f"{{% liquid\n{inside}%}}"

    def comment(self, depth: int) -> str:
        """Comments of each kind, and `raw`."""
        if self._plain:
            return "# a comment\n"
        return self.rng.choice(
            (
                "{% comment %}{{ nosuch | nosuch }}{% endcomment %}",
                "{% # inline %}",
                "{% doc %}words{% enddoc %}",
                "{% raw %}{{ s }}{% if %}{% endraw %}",
            )
        )
