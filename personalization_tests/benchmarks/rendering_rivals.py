"""Other template engines on the mail of `mails.py`: translated, run, and compared with our text.

liquidjs and Ruby's liquid take the template as it is. Jinja2, minijinja and Handlebars get it in
their own syntax. Each parses once, has its contexts ready, and renders all of them once before the
timed turn. Filters that an engine lacks are plain functions of its own language.
"""

import html
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personalization_tests.benchmarks import mails
from personalization_tests.benchmarks.measure import measured, scratch

SCRIPTS = Path(__file__).with_name("rivals")
COMPARED = 200
TOKEN = re.compile(r"\{\{\s*(.*?)\s*\}\}|\{%-?\s*(.*?)\s*-?%\}", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """What an engine did: mails per CPU second, and how many of the first mails read as ours."""

    name: str
    speed: float = 0.0
    same: int = 0
    missing: str = ""
    """What to install, where it did not run."""


# --- the template in other syntax ----------------------------------------------------------------


def in_jinja(source: str) -> str:
    """The mail's Liquid as Jinja."""
    subject, began = "", False

    def one(found: re.Match[str]) -> str:
        nonlocal subject, began
        output, tag = found[1], found[2]
        if output is not None:
            return "{{ " + _jinja_value(output) + " }}"
        word, _, rest = tag.partition(" ")
        if word == "case":
            subject, began = rest, False
            return ""
        if word == "when":
            start, began = ("elif" if began else "if"), True
            return f"{{% {start} {subject} in [{rest}] %}}"
        if word == "for":
            name, _, iterable = rest.partition(" in ")
            path, _, limit = iterable.partition(" limit: ")
            path = path.replace("cart.items", "cart['items']")  # a dict has a method `items`
            return f"{{% for {name} in {path}[:{limit}] %}}"
        if word == "unless":
            return f"{{% if not {rest} %}}"
        if word in ("if", "elsif"):
            return f"{{% {'if' if word == 'if' else 'elif'} {_jinja_test(rest)} %}}"
        ends = {"endunless": "endif", "endcase": "endif"}
        return f"{{% {ends.get(word, tag)} %}}"

    return TOKEN.sub(one, source)


def _jinja_value(expression: str) -> str:
    value, *filters = [part.strip() for part in expression.split(" | ")]
    out = value.replace("forloop.index", "loop.index")
    for part in filters:
        name, _, arguments = part.partition(": ")
        arguments = f"{arguments}, true" if name == "default" else arguments
        out += f" | {name}({arguments})" if arguments else f" | {name}"
    return out


def _jinja_test(condition: str) -> str:
    listed = re.sub(r"\b(viewed|customer\.likes)\.size\b", r"\1 | length", condition)
    without_nil = re.sub(r"\b(customer\.points|p\.was)\b (?=>)", r"(\1 or 0) ", listed)
    return re.sub(r"(\S+) contains (\S+)", r"\2 in \1", without_nil)


def in_handlebars(source: str) -> str:
    """The mail's Liquid as Handlebars, with helpers for filters and comparisons."""
    subject, began, loops, ends = "", False, [], []

    def path(name: str) -> str:
        if name == "forloop.index":
            return "(inc @index)"
        if name[0] in "\"'0123456789":
            return name
        name = re.sub(r"^(viewed|customer\.likes)\.size$", r"\1.length", name)
        return name if name.split(".")[0] in loops else f"@root.{name}"

    def test(condition: str) -> str:
        for word in ("or", "and"):
            left, found, right = condition.partition(f" {word} ")
            if found:
                return f"({word} {test(left)} {test(right)})"
        left, operator, right = [*condition.split(" ", 2), "", ""][:3]
        if not operator:
            return path(left)
        name = {"==": "eq", ">": "gt", ">=": "ge", "contains": "contains"}[operator]
        return f"({name} {path(left)} {path(right)})"

    def one(found: re.Match[str]) -> str:
        nonlocal subject, began
        output, tag = found[1], found[2]
        if output is not None:
            value, *filters = [part.strip() for part in output.split(" | ")]
            out = path(value)
            for part in filters:
                name, _, argument = part.partition(": ")
                if name != "escape":  # everything is
                    given = f" {path(argument)}" if argument else ""
                    out = f"({name} {out}{given})"
            return "{{" + (out[1:-1] if out.startswith("(") else out) + "}}"
        word, _, rest = tag.partition(" ")
        if word == "case":
            subject, began = rest, False
            ends.append("if")
            return ""
        if word == "when":
            tests = [f"(eq {path(subject)} {one})" for one in rest.split(", ")]
            joined = tests[0] if len(tests) == 1 else f"(or {' '.join(tests)})"
            start, began = ("else if" if began else "#if"), True
            return f"{{{{{start} {joined}}}}}"
        if word == "for":
            name, _, iterable = rest.partition(" in ")
            listed, _, limit = iterable.partition(" limit: ")
            out = f"{{{{#each (take {path(listed)} {limit}) as |{name}|}}}}"
            loops.append(name)
            ends.append("each")
            return out
        if word in ("if", "unless"):
            ends.append(word)
            return f"{{{{#{word} {test(rest)}}}}}"
        if word == "elsif":
            return f"{{{{else if {test(rest)}}}}}"
        if word == "else":
            return "{{else}}"
        if ends[-1] == "each":
            loops.pop()
        return f"{{{{/{ends.pop()}}}}}"

    return TOKEN.sub(one, source)


# --- engines in Python ---------------------------------------------------------------------------


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _money(value: float) -> str:
    return f"€{value:,.2f}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "money": _money,
    "truncate": _shortened,
    "upcase": str.upper,
    "downcase": str.lower,
}


def _contexts(people: int) -> list[dict[str, Any]]:
    return [
        {**mails.CONSTANTS, **row}
        for batch in mails.batches(people, shared=False)
        for row in batch.to_pylist()
    ]


def jinja2(people: int) -> Callable[[], tuple[float, int, list[str]]]:
    """Work that renders with Jinja2; gives CPU seconds, mails and the first texts."""
    from jinja2 import Environment

    env = Environment(autoescape=True, optimized=True)
    env.filters.update(FILTERS)
    template = env.from_string(in_jinja(mails.html()))
    return _python(template.render, people)


def minijinja(people: int) -> Callable[[], tuple[float, int, list[str]]]:
    """The same with minijinja, which is written in Rust."""
    from minijinja import Environment

    env = Environment(templates={"mail.html": in_jinja(mails.html())}, filters=dict(FILTERS))
    return _python(lambda context: env.render_template("mail.html", **context), people)


def _python(
    render: Callable[[dict[str, Any]], str], people: int
) -> Callable[[], tuple[float, int, list[str]]]:
    contexts = _contexts(people)
    first = [render(context) for context in contexts][:COMPARED]

    def work() -> tuple[float, int, list[str]]:
        started = time.process_time()
        for context in contexts:
            render(context)
        return time.process_time() - started, len(contexts), first

    return work


# --- all of them ---------------------------------------------------------------------------------


def rivals(people: int) -> list[Run]:
    """What each rival that is installed does on this many people."""
    from personalization_assets.emails import liquid_batch

    parsed = mails.environment().from_string(mails.html())
    ours = liquid_batch.compile(parsed, mails.contract(), mails.CONSTANTS)
    expected = ours.render(next(mails.batches(COMPARED, COMPARED))).column("text").to_pylist()
    runs = []
    with scratch() as folder:
        files = _write(folder, people)
        for name, command, template, missing in _commands():
            if missing:
                runs.append(Run(name, missing=missing))
                continue
            (folder / "template").write_text(template, "utf-8")
            arguments = [*command, str(folder / "template"), *files, str(folder / "texts.json")]
            said = subprocess.run(
                arguments, env=_node(), capture_output=True, text=True, check=False
            )
            if said.returncode:
                runs.append(Run(name, missing=said.stderr.strip().splitlines()[-1][:60]))
                continue
            told = json.loads(said.stdout)
            texts = json.loads((folder / "texts.json").read_text("utf-8"))
            runs.append(Run(name, told["mails"] / told["cpu"], _alike(texts, expected)))
    for engine in (jinja2, minijinja):
        try:
            __import__(engine.__name__)
        except ImportError:
            runs.append(Run(engine.__name__, missing=f"pip install {engine.__name__}"))
            continue
        (cpu, count, texts), _ = measured(engine, people)
        runs.append(Run(engine.__name__, count / cpu, _alike(texts, expected)))
    return runs


def _write(folder: Path, people: int) -> list[str]:
    contexts, constants = folder / "contexts.jsonl", folder / "constants.json"
    with contexts.open("w", encoding="utf-8") as out:
        for batch in mails.batches(people, shared=False):
            for row in batch.to_pylist():
                out.write(json.dumps(row) + "\n")
    constants.write_text(json.dumps(mails.CONSTANTS), "utf-8")
    return [str(contexts), str(constants)]


def _commands() -> list[tuple[str, list[str], str, str]]:
    node = shutil.which("node") and (_modules() / "liquidjs").is_dir()
    no_node = "" if node else f"npm install in {SCRIPTS.name}/, or set PERSONALIZE_BENCH_NODE"
    ruby = shutil.which("ruby")
    has_liquid = (
        ruby and not subprocess.run([ruby, "-e", "require 'liquid'"], check=False).returncode
    )
    no_ruby = "" if has_liquid else "Debian's ruby-liquid"
    script = str(SCRIPTS / "engine.cjs")
    return [
        ("liquidjs", ["node", script, "liquidjs"], mails.html(), no_node),
        ("Ruby's liquid", ["ruby", str(SCRIPTS / "engine.rb")], mails.html(), no_ruby),
        ("Handlebars", ["node", script, "handlebars"], in_handlebars(mails.html()), no_node),
    ]


def _modules() -> Path:
    return Path(os.environ.get("PERSONALIZE_BENCH_NODE", SCRIPTS)) / "node_modules"


def _node() -> dict[str, str]:
    return {**os.environ, "NODE_PATH": str(_modules())}


def plainly(text: str) -> str:
    """A mail without what engines write differently: entities, whole numbers with a point."""
    text = html.unescape(html.unescape(text))
    return " ".join(re.sub(r"(\d)\.0 of 5", r"\1 of 5", text).split())


def _alike(texts: Sequence[str], expected: Sequence[str]) -> int:
    pairs = zip(texts, expected, strict=False)
    return sum(plainly(theirs) == plainly(ours) for theirs, ours in pairs)
