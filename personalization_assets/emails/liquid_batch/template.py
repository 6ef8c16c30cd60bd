"""A compiled template: rows in, texts out, python-liquid behind it.

`compile` turns a parsed template into one Python function that runs over the columns of a batch. A
row on which that function raises anything is rendered by python-liquid, which decides what becomes
of it; a template with a part that the compiler does not know is rendered by python-liquid whole.
Either way the text is python-liquid's, byte for byte.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import pyarrow as pa
from liquid import Mode, Undefined
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from personalization_assets.emails.liquid_batch.columns import Columns, Dictionaries, merged
from personalization_assets.emails.liquid_batch.environment import AbortMail, BatchEnvironment
from personalization_assets.emails.liquid_batch.nodes import PIECES, Nodes
from personalization_assets.emails.liquid_batch.report import LoopReport, Report
from personalization_assets.emails.liquid_batch.runtime import LEARNING, NOTHING, Memo
from personalization_assets.emails.liquid_batch.scope import Where, line_of
from personalization_assets.emails.liquid_batch.survey import survey
from personalization_assets.emails.liquid_batch.texts import Texts
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

RESULT = pa.schema(
    [
        ("text", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("holes", pa.int32()),
    ]
)
"""What `CompiledTemplate.render` gives, one row per row: `status` is rendered, aborted or error;
`text` is null unless rendered; `holes` counts outputs that had nothing to print."""

ROOM = 1.1
"""Room that a batch's texts get, compared with those of the batch before."""

EXPECTED = (
    LiquidError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    RecursionError,
    MemoryError,
)
"""What a template may raise on a row; anything else is a mistake of ours and is not caught."""


class TooSlowError(Exception):
    """A batch took longer than it may."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of one row."""

    text: str | None
    status: str
    reason: str | None
    holes: int


class CompiledTemplate:
    """One template, ready for any number of batches. Not for several threads at once."""

    def __init__(
        self,
        template: BoundTemplate,
        contract: Mapping[str, pa.DataType] | None,
        constants: Mapping[str, Any],
        where: Where = line_of,
    ) -> None:
        self.template, self.constants = template, constants
        self.report = Report()
        self.source = ""
        """The generated function, for whoever wants to read it."""
        self._contract, self._where = contract, where
        self._dictionaries = Dictionaries()
        self._columns: list[tuple[str, ...]] = []
        self._memos: list[tuple[Memo, LoopReport]] = []
        self._bytes_each = 0.0
        """What a row of the next batch is expected to have."""
        self._run: Callable[..., None] | None = None
        try:
            self._compile()
        except UnsupportedError as unknown:
            token = unknown.token
            at = f" at {where(token.source, token.start_index)}" if token is not None else ""
            self._give_up(f"{unknown.what}{at}")
        except LiquidError as error:
            self._give_up(f"a partial is not Liquid: {error.message}")
        except (SyntaxError, RecursionError, MemoryError):
            self._give_up("blocks nested too deep")

    def _give_up(self, why: str) -> None:
        self.report = Report(compiled=False, why_not=why)
        self._run, self._columns = None, []

    def _compile(self) -> None:
        env = self.template.env
        if env.mode != Mode.STRICT or env.undefined is not Undefined:
            raise UnsupportedError("an environment that is not strict")
        known = {**env.globals, **self.constants}
        nodes = Nodes(self.template, self._contract, known, self._where)
        code = nodes.code
        with (
            code.apart() as body,
            nodes.scope(survey(self.template.nodes, nodes.expressions.context), [], partial=False),
        ):
            for node in self.template.nodes:
                nodes.node(node)
            nodes.flush()
        self._columns = list(nodes.names.columns)
        variables = [nodes.names.columns[path] for path in self._columns]
        limit = env.output_stream_limit
        code.constants["SHARE"] = (env.local_namespace_limit or 0) // max(nodes.locals, 1)
        code.line("def run(count, columns, emit, notice, fail, look_at_clock):")
        with code.indented():
            code.line(f"for {', '.join(['row', *variables])}, in zip(range(count), *columns):")
            with code.indented():
                code.line("try:")
                with code.indented():
                    code.line("if not row & 31: look_at_clock()")
                    code.line("pieces = []; a = pieces.append; holes = captured = 0")
                    code.add(body)
                    if limit:
                        code.line(
                            f"if len(pieces) > {PIECES:d} and sum(map(len, pieces)) > {limit:d}:"
                        )
                        code.line("    raise FallbackError")
                    code.line("text = join(pieces)")
                    if limit:
                        code.line(f"if len(text) + captured > {limit:d}: raise FallbackError")
                    code.line("if holes: notice(row, holes)")
                    code.line("emit(text)")
                code.line("except Exception as error: emit(fail(row, error))")
        self.source = "\n".join(code.lines) + "\n"
        namespace: dict[str, Any] = dict(code.constants)
        compiled: CodeType = compile(self.source, f"<liquid {self.template.name}>", "exec")
        exec(compiled, namespace)  # holds no text of the template, see emitter.py
        self._run = namespace["run"]
        self._memos = nodes.memos
        self.report.loops = nodes.loops

    # --- rendering -------------------------------------------------------------------------------

    def render(
        self, batch: pa.RecordBatch | Columns, seconds: float | None = None
    ) -> pa.RecordBatch:
        """The texts of a batch (`RESULT`), in its order.

        `seconds` of processor time are what the batch may take.

        Raises:
            TooSlowError: it took longer.
        """
        columns = batch if isinstance(batch, Columns) else Columns(batch, self._dictionaries)
        texts = Texts(int(self._bytes_each * len(columns)))
        work = _Work(len(columns), seconds, texts.append, halves=False)
        self._go(work, [columns.values(path) for path in self._columns], columns.row)
        self._bytes_each = ROOM * texts.size / max(len(columns), 1)
        return work.batch(texts.array())

    def render_rows(self, rows: Iterable[Mapping[str, Any]]) -> list[Rendered]:
        """The texts of rows that are mappings of anything, for templates without a contract."""
        given = list(rows)
        texts: list[bytes | None] = []
        work = _Work(len(given), None, texts.append, halves=True)
        values = [[row.get(path[0], NOTHING) for row in given] for path in self._columns]
        self._go(work, values, given.__getitem__)
        return work.rows(texts)

    def _go(
        self, work: "_Work", values: list[list[Any]], row_of: Callable[[int], Mapping[str, Any]]
    ) -> None:
        if self._run is None:
            for row in range(work.count):
                work.emit(self._send_back(work, row, row_of))
            return
        self.report.rows += work.count

        def fail(row: int, error: Exception) -> bytes | None:
            if isinstance(error, AbortMail):
                return work.stop(row, "aborted", str(error))
            if isinstance(error, TooSlowError):
                raise error
            self.report.sent_back += 1
            return self._send_back(work, row, row_of, error)

        self._run(work.count, values, work.emit, work.notice, fail, work.look_at_clock)
        for memo, loop in self._memos:
            loop.repeats = not (memo.useless and memo.missed > LEARNING)

    def _send_back(
        self,
        work: "_Work",
        row: int,
        row_of: Callable[[int], Mapping[str, Any]],
        cause: Exception | None = None,
    ) -> bytes | None:
        """Let python-liquid render a row."""
        work.look_at_clock()
        env = self.template.env
        if isinstance(env, BatchEnvironment):
            env.holes = 0
        why = type(cause).__name__ if cause is not None else ""
        try:
            text = self.template.render(merged(self.constants, row_of(row)))
        except AbortMail as stop:
            return work.stop(row, "aborted", str(stop))
        except EXPECTED as error:
            reason = described(error, self.template.name, self._where)
            self._count(reason)
            return work.stop(row, "error", reason)
        if cause is not None:
            self._count(f"{why}, though python-liquid renders it")
        if isinstance(env, BatchEnvironment) and env.holes:
            work.notice(row, env.holes)
        return work.encoded(text)

    def _count(self, cause: str) -> None:
        self.report.causes[cause] = self.report.causes.get(cause, 0) + 1


class _Work:
    """A batch while it is rendered. `emit` takes its texts one after the other; with `halves` they
    may have halves of characters, as python-liquid's have."""

    def __init__(
        self,
        count: int,
        seconds: float | None,
        emit: Callable[[bytes | None], None],
        halves: bool,
    ) -> None:
        self.count, self.emit = count, emit
        self._halves = halves
        self._holes: dict[int, int] = {}
        self._stopped: dict[int, tuple[str, str]] = {}
        self._until = time.process_time() + seconds if seconds is not None else None
        self._seconds = seconds

    def notice(self, row: int, holes: int) -> None:
        """A row with outputs that had nothing to print."""
        self._holes[row] = holes

    def stop(self, row: int, status: str, reason: str) -> bytes | None:
        """A row that gets no text."""
        self._stopped[row] = (status, reason)
        return None

    def look_at_clock(self) -> None:
        """Raise when the batch's time is over."""
        if self._until is not None and time.process_time() > self._until:
            raise TooSlowError(f"the batch took more than {self._seconds:g} seconds")

    def encoded(self, text: str) -> bytes:
        """A text of python-liquid's."""
        if not self._halves:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.encode(errors="surrogatepass")

    def batch(self, text: pa.Array) -> pa.RecordBatch:
        """What `RESULT` says."""
        self.look_at_clock()
        status, reason, holes = _untroubled(self.count)
        if self._stopped:
            stopped = [self._stopped.get(row, ("rendered", None)) for row in range(self.count)]
            status = pa.array([s for s, _ in stopped], pa.string())
            reason = pa.array([r for _, r in stopped], pa.string())
        if self._holes:
            holes = pa.array([self._holes.get(row, 0) for row in range(self.count)], pa.int32())
        return pa.RecordBatch.from_arrays([text, status, reason, holes], schema=RESULT)

    def rows(self, texts: Iterable[bytes | None]) -> list[Rendered]:
        """The same as objects."""
        out = []
        for row, text in enumerate(texts):
            status, reason = self._stopped.get(row, ("rendered", None))
            shown = text.decode(errors="surrogatepass") if text is not None else None
            out.append(Rendered(shown, status, reason, self._holes.get(row, 0)))
        return out


@lru_cache(maxsize=4)
def _untroubled(count: int) -> tuple[Any, Any, Any]:
    """Status, reason and holes of rows with which nothing was the matter."""
    holes = pa.repeat(pa.scalar(0, pa.int32()), count)
    return pa.repeat("rendered", count), pa.nulls(count, pa.string()), holes


def described(error: Exception, template: str = "", where: Where = line_of) -> str:
    """What failed and where, without any value of the row. `template` is the name of the template
    that was rendered; python-liquid only names partials."""
    token = error.token if isinstance(error, LiquidError) else None
    if token is None or token.start_index < 0:
        return type(error).__name__
    place = where(token.source, token.start_index)
    if where is line_of:
        place = f"{getattr(error, 'template_name', None) or template or 'the template'} {place}"
    return f"{type(error).__name__} in {place}"
