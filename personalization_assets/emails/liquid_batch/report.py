"""What became of a template: which parts are compiled, which are not, and why."""

from dataclasses import dataclass, field


@dataclass
class LoopReport:
    """A loop, and whether the text of its turns is kept for other rows with the same values."""

    template: str
    place: str
    """Where it is written: `line n` of the template, unless whoever compiled it knows better."""
    loop: str
    obstacles: tuple[str, ...]
    """Why no text is kept; empty if it is."""
    depends: tuple[str, ...] = ()
    """Columns besides the item that a kept text depends on."""
    repeats: bool = True
    """False when nine of ten turns had values that were not seen before."""

    @property
    def matters(self) -> bool:
        """Whether keeping its text would save time: a body that is more than a few words."""
        return bool(self.obstacles) and "is short" not in self.obstacles

    def __str__(self) -> str:
        here = self.place.startswith("line ")
        where = f"{self.template or 'template'} {self.place}" if here else self.place
        where += f": for {self.loop}"
        if self.obstacles:
            return f"{where}: rendered anew for each row: {'; '.join(self.obstacles)}"
        also = f", and {', '.join(self.depends)}" if self.depends else ""
        if not self.repeats:
            return f"{where}: rendered anew nearly always: its text differs by item{also}"
        return f"{where}: text kept by item{also}"


@dataclass
class Report:
    """What was compiled, and how many rows python-liquid had to render."""

    compiled: bool = True
    why_not: str = ""
    """What the compiler does not know, with its line; python-liquid then renders every row."""
    loops: list[LoopReport] = field(default_factory=list)
    rows: int = 0
    sent_back: int = 0
    """Rows on which compiled code raised, rendered again by python-liquid."""
    causes: dict[str, int] = field(default_factory=dict)
    """Kinds of errors that sent rows back, with the line where python-liquid failed if it did."""

    def add(self, other: "Report") -> None:
        """Put the counts of another process's report of the same template in."""
        self.rows += other.rows
        self.sent_back += other.sent_back
        for cause, count in other.causes.items():
            self.causes[cause] = self.causes.get(cause, 0) + count
        for mine, theirs in zip(self.loops, other.loops, strict=True):
            mine.repeats = mine.repeats and theirs.repeats

    @property
    def advice(self) -> list[str]:
        """What makes the template slow, a line each; empty when nothing does."""
        if not self.compiled:
            return [f"rendered by python-liquid, which is slow: {self.why_not}"]
        slow = [str(loop) for loop in self.loops if not loop.repeats or loop.matters]
        back = f"{self.sent_back:,} of {self.rows:,} rows were rendered again by python-liquid"
        causes = "; ".join(f"{c} ({n:,})" for c, n in sorted(self.causes.items()))
        return [*slow, *([f"{back}: {causes}"] if self.sent_back else [])]

    def __str__(self) -> str:
        if not self.compiled:
            return f"not compiled: {self.why_not}"
        lines = [f"compiled; {self.sent_back:,} of {self.rows:,} rows sent back to python-liquid"]
        lines += [f"  {cause}: {count:,}" for cause, count in sorted(self.causes.items())]
        return "\n".join([*lines, *(f"  {loop}" for loop in self.loops)])
