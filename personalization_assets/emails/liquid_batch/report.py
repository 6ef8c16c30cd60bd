"""What became of a template: which parts are compiled, which are not, and why."""

from dataclasses import dataclass, field


@dataclass
class LoopReport:
    """A loop, and whether the text of its turns is kept for other rows with the same values."""

    template: str
    line: int
    loop: str
    obstacles: tuple[str, ...]
    """Why no text is kept; empty if it is."""
    depends: tuple[str, ...] = ()
    """Columns besides the item that a kept text depends on."""

    def __str__(self) -> str:
        where = f"{self.template or 'template'} line {self.line}: for {self.loop}"
        if self.obstacles:
            return f"{where}: rendered anew for each row: {'; '.join(self.obstacles)}"
        also = f", and {', '.join(self.depends)}" if self.depends else ""
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
    useless_memos: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.compiled:
            return f"not compiled: {self.why_not}"
        lines = [f"compiled; {self.sent_back:,} of {self.rows:,} rows sent back to python-liquid"]
        lines += [f"  {cause}: {count:,}" for cause, count in sorted(self.causes.items())]
        return "\n".join([*lines, *(f"  {loop}" for loop in self.loops)])
