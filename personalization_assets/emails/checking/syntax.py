"""Liquid that can't be parsed, or that would be printed as it stands: where, and in plain words."""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator

from liquid.exceptions import LiquidError, TemplateNotFoundError

from personalization_assets.emails.checking.dialect_table import LIQUID_TOKEN
from personalization_assets.emails.checking.findings import Findings, near_of
from personalization_assets.emails.checking.markup import BRANCHING, OPENING, TAG_NAME
from personalization_assets.emails.checking.sources import Source
from personalization_assets.emails.liquid_env import MailEnvironment
from personalization_assets.emails.problems import did_you_mean

LONGEST = 60
"""Characters of an author's text that a message repeats."""
BLOCKS = OPENING | {"comment", "raw"}
QUOTED = re.compile(r"\"[^\"\n%}]*\"|'[^'\n%}]*'")
OPENS = re.compile(r"\{[{%]")
SILENT = re.compile(r"\{%-?\s*(raw|comment)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
WITHOUT = {"elsif": "if", "else": "if", "when": "case", "break": "for", "continue": "for"}
"""Tags that stand inside a block, and the tag of that block."""
AT: tuple[tuple[str, str], ...] = (
    (r"[“”„‟«»]", "{0} is no quotation mark of Liquid, write \" or '"),
    (r"[‘’‚‹›]", "{0} is no quotation mark of Liquid, write ' or \""),
    (r"[\u00a0\u2007\u202f]", "there is a non-breaking space here, write an ordinary one"),
    (r"&(gt|lt|amp|quot|apos|#39);", "write {1} in place of {0}"),
    (r"&&", "write 'and' in place of &&"),
    (r"\|\|", "write 'or' in place of ||"),
    (r"!(?!=)", "write {{% unless ... %}}, or compare with false, in place of !"),
    (r"=>", "write >= in place of =>"),
    (r"=<", "write <= in place of =<"),
    (r"=(?!=)", "write == to compare"),
    (r"\?", "Liquid has no ?, write {{% if ... %}}"),
    (r"[+*/-]", "Liquid has no {0}, use a filter such as plus, minus, times or divided_by"),
    (r"\{", "there is a {0} too many"),
    (r"\(", "a filter's values stand after a colon, as in | default: 'you'"),
    (r"['\"](?=[^'\"]*[%}]\})", "the quotation mark {0} is not closed"),
)
"""What stands at the place of a mistake, and what to do; `{0}` is what stands there, `{1}` the same
without HTML's way of writing it."""
SAYS: tuple[tuple[str, str], ...] = (
    (r"found end of file", "the tag is not closed"),
    (r"expected a comma separated list", "a ',' is missing between the values of a filter"),
    (
        r"expected end of expression, found (string|integer|float)",
        "a ':' is missing after the name of the filter",
    ),
    (r"expected in, found", "write {% for item in list %}"),
    (r"missing expression", "the tag says nothing of what it is about"),
    (r"found end of expression", "something is missing at the end of the tag"),
    (r"missing tag name", "the tag has no name"),
    (r"nesting limit", "too many blocks lie in each other; put parts of it into _blocks"),
    (r"tag was never closed", "the tag is never closed"),
)
"""What python-liquid says, as a pattern, and what it means; for what `AT` does not know."""
TOKEN_WORDS = {
    "rbracket": "']'",
    "lbracket": "'['",
    "pipe": "'|'",
    "dpipe": "'||'",
    "word": "a word",
    "string": "a text in quotation marks",
}
TOKENS = re.compile(rf"(expected|found) ({'|'.join(TOKEN_WORDS)})\b")
"""Names that python-liquid has for what stands in a tag."""


def refuse_braces(source: Source, roots: Iterable[str], findings: Findings) -> bool:
    """Note Liquid whose braces do not fit, and conditions that nobody reads; False if none is.

    Such a tag would swallow the text up to the next one, or be printed.
    """
    found = dict(_braces(source.text, "|".join(map(re.escape, roots))))
    for index, problem in found.items():
        findings.add("liquid_syntax", source.place(index), problem=problem)
    return bool(found)


def _braces(text: str, roots: str) -> Iterator[tuple[int, str]]:
    text = SILENT.sub(lambda m: " " * len(m[0]), text)
    spans: list[range] = []
    for token in LIQUID_TOKEN.finditer(text):
        spans.append(range(*token.span()))
        inner = QUOTED.sub(lambda m: "_" * len(m[0]), token[0][2:-2])
        if OPENS.search(inner) is not None and not inner.startswith("{"):
            ends = "}}" if token[0].startswith("{{") else "%}"
            yield token.start(), f"'{_short(token[0])}' has no '{ends}'"
        elif re.match(r"-?\s*else\s+[^\s-]", inner) is not None:
            test = re.sub(r"^-?\s*else\s+(if\s+)?|\s*-?$", "", token[0][2:-2])
            yield token.start(), f"else takes no condition, write '{{% elsif {test} %}}'"
    single = rf"(?<![{{$%])\{{\s*((?:{roots})\.\w[^{{}}\n]*?)\s*\}}"
    for match in re.finditer(single, text):
        if not any(match.start() in span for span in spans):
            whole = f"{{{{ {match[1]} }}}}"
            yield match.start(), f"'{_short(match[0])}' is printed as it stands, write '{whole}'"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."


def note_syntax(
    error: LiquidError, source: Source, env: MailEnvironment, findings: Findings
) -> None:
    """python-liquid's complaint, at the place that it is about."""
    index = error.token.start_index if error.token is not None else -1
    message = str(error.message)
    if isinstance(error, TemplateNotFoundError):
        name, known = str(error.args[0]), getattr(env.loader, "templates", {})
        near = near_of(did_you_mean(name, known), f"add the file {name}.liquid there")
        findings.add("part_unknown", source.place(index), name=name, **near)
        return
    tag = re.search(r"unexpected tag '(\w+)'", message)
    known = {*env.tags, *(f"end{block}" for block in BLOCKS)}
    halves = tag[1] in known if tag else re.search(r"expected tag|never closed", message)
    loose = loose_half(source.text) if halves else None
    if loose is not None:
        index, problem = loose
    elif tag is not None:
        problem = _unknown_tag(tag[1], known)
    else:
        if index < 0:
            index = _place_of(message, source.text, env)
        problem = _in_words(message, source.text, index)
    findings.add("liquid_syntax", source.place(index), problem=problem)


def loose_half(text: str) -> tuple[int, str] | None:
    """The first tag that opens or closes a block and has no other half."""
    opened: list[tuple[int, str]] = []
    for token in LIQUID_TOKEN.finditer(text):
        found = TAG_NAME.match(token[0])
        name = found[1] if found is not None else ""
        if opened and opened[-1][1] in ("comment", "raw") and name != f"end{opened[-1][1]}":
            continue
        if name in BLOCKS:
            opened.append((token.start(), name))
        elif name.startswith("end") and name[3:] in BLOCKS:
            if opened and opened[-1][1] == name[3:]:
                opened.pop()
            elif any(kind == name[3:] for _, kind in opened):
                break
            else:
                return token.start(), f"this {{% {name} %}} closes nothing"
    if not opened:
        return None
    index, kind = opened[-1]
    return index, f"this {{% {kind} %}} has no {{% end{kind} %}}"


def _unknown_tag(name: str, known: Iterable[str]) -> str:
    if name in WITHOUT:
        return f"{{% {name} %}} stands outside of a {{% {WITHOUT[name]} %}}"
    close = {"elseif": "elsif", "elif": "elsif", "foreach": "for", "switch": "case"}.get(name)
    hint = f", write '{close}'" if close else did_you_mean(name, [*known, *WITHOUT]).rstrip("?")
    return f"there is no tag {{% {name} %}}{hint}"


def _place_of(message: str, text: str, env: MailEnvironment) -> int:
    """The tag that is wrong in itself, when python-liquid does not say which it is."""
    for token in LIQUID_TOKEN.finditer(text):
        found = TAG_NAME.match(token[0])
        name = found[1] if found is not None else ""
        probe = token[0]
        if name in BRANCHING:
            block = WITHOUT[name]
            probe = f"{{% {block} x %}}{probe}{{% end{block} %}}"
        elif name in BLOCKS:
            probe += f"{{% end{name} %}}"
        elif name.startswith("end"):
            continue
        try:
            env.from_string(probe)
        except LiquidError as error:
            if str(error.message) == message:
                return token.start()
    return 0


def _in_words(message: str, text: str, index: int) -> str:
    if "parentheses" in message:
        return "conditions have no parentheses; put one {% if %} into another"
    for pattern, words in AT:
        match = re.compile(pattern).match(text, index)
        if match is not None and not text.startswith(("{{", "{%"), index):
            return words.format(match[0], html.unescape(match[0]))
    char = text[index : index + 1]
    if char and unicodedata.category(char) == "Cf":
        return f"there is an invisible character (U+{ord(char):04X}) here, delete it"
    for pattern, words in SAYS:
        if re.search(pattern, message):
            return words
    return TOKENS.sub(lambda m: f"{m[1]} {TOKEN_WORDS[m[2]]}", message)
