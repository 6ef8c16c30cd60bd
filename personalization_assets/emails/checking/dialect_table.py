"""The table of other template languages: how each of their constructs looks, and its Liquid."""

import re
from collections.abc import Callable, Mapping

from personalization_assets.emails.checking.names import Names

LIQUID_TOKEN = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
Part = Callable[[str], str]
"""The text of a named group of a match."""
Translate = Callable[[re.Match[str], Names, str], str]
"""From a match, the names that are known and the whole text, to Liquid."""

SYSTEM_TAGS: Mapping[str, str] = {
    "UNSUB": "links.unsubscribe",
    "UNSUB_LINK": "links.unsubscribe",
    "UNSUBSCRIBE": "links.unsubscribe",
    "UPDATE_PROFILE": "links.preferences",
    "LIST:COMPANY": "brand.legal_name",
    "LIST:ADDRESS": "brand.postal_address",
    "LIST:ADDRESSLINE": "brand.postal_address",
    "HTML:LIST_ADDRESS_HTML": "brand.postal_address",
    "LIST:NAME": "brand.name",
    "LIST:URL": "links.home",
    "MC:SUBJECT": "mail.subject",
    "MC_PREVIEW_TEXT": "mail.preheader",
    "CURRENT_YEAR": "mail.year",
    "PROFILE_CENTER_URL": "links.preferences",
    "UNSUB_CENTER_URL": "links.unsubscribe",
    "MEMBER_BUSNAME": "brand.legal_name",
    "MEMBER_ADDR": "brand.postal_address",
    "EMAILADDR": "customer.email",
}
"""Mailchimp's and Salesforce's own tags."""

METHODS = {
    "upper": "upcase",
    "lower": "downcase",
    "title": "capitalize",
    "capitalize": "capitalize",
    "strip": "strip",
    "replace": "replace",
    "split": "split",
    "join": "join",
    "toUpperCase": "upcase",
    "toLowerCase": "downcase",
    "toFixed": "round",
    "trim": "strip",
}
FILTERS = {
    "upper": "upcase",
    "uppercase": "upcase",
    "lower": "downcase",
    "lowercase": "downcase",
    "title": "capitalize",
    "propercase": "capitalize",
    "length": "size",
    "count": "size",
    "trim": "strip",
    "e": "escape",
    "truncatechars": "truncate",
    "currency": "money",
    "format_currency": "money",
    "number_format": "number",
    "date_format": "date",
    "intcomma": "number",
}
"""Filters of other languages, and ours."""


def _block(match: re.Match[str], names: Names, text: str) -> str:
    """`{{#if x}}`, `{{#each x}}`, `{{#x}}`."""
    word, rest = match["word"], match["rest"].strip()
    if rest and word in ("if", "unless"):
        return f"{{% {word} {names.condition(rest)} %}}"
    if rest and word in ("each", "for"):
        return f"{{% for item in {names.path(rest.split(' as ')[0])} %}}"
    if rest and word in ("with", "let"):
        return f"{{% assign item = {names.path(rest)} %}}"
    if rest:
        return f"{{% if {names.condition(rest)} %}}"
    path = names.path(word)
    return f"{{% for item in {path} %}}" if names.is_list(path) else f"{{% if {path} %}}"


def _end(match: re.Match[str], names: Names, text: str) -> str:
    """`{{/if}}`, or `{{/x}}` by what opened it."""
    word = match["word"]
    fixed = {"if": "if", "unless": "unless", "each": "for", "for": "for"}
    if word in fixed:
        return f"{{% end{fixed[word]} %}}"
    inverted = rf"\{{\{{\s*\^\s*{re.escape(word)}\s*\}}\}}"
    opened = re.findall(rf"{inverted}|\{{\{{\s*#\s*{re.escape(word)}\b", text[: match.start()])
    if opened and "^" in opened[-1]:
        return "{% endunless %}"
    return "{% endfor %}" if names.is_list(names.path(word)) else "{% endif %}"


def _else(match: re.Match[str], names: Names, text: str) -> str:
    condition = (match["rest"] or "").strip().removeprefix("if ")
    return f"{{% elsif {names.condition(condition)} %}}" if condition else "{% else %}"


def _inverted(match: re.Match[str], names: Names, text: str) -> str:
    return f"{{% unless {names.path(match['word'])} %}}"


def _partial(match: re.Match[str], names: Names, text: str) -> str:
    return f"{{% render '{match['word']}' %}}"


def _output(match: re.Match[str], names: Names, text: str) -> str:
    return f"{{{{ {names.path(match['word'])} }}}}"


def _comment(match: re.Match[str], names: Names, text: str) -> str:
    return "{% comment %}...{% endcomment %}"


def _loop_variable(match: re.Match[str], names: Names, text: str) -> str:
    word = {"index": "index0", "key": "index0"}.get(match["word"], match["word"])
    return f"{{{{ forloop.{word} }}}}"


def _merge_tag(match: re.Match[str], names: Names, text: str) -> str:
    """`*|FNAME|*`, `*|IF:FNAME|*`, `*|END:IF|*`."""
    word, _, rest = match["word"].partition(":")
    if word in ("IF", "IFNOT", "ELSEIF"):
        tag = {"IF": "if", "IFNOT": "unless", "ELSEIF": "elsif"}[word]
        return f"{{% {tag} {names.condition(rest.replace('=', ' == ', 1))} %}}"
    if word == "ELSE":
        return "{% else %}"
    if word == "END":
        return "{% endif %}"
    return f"{{{{ {_tag(match['word'], names)} }}}}"


def _tag(word: str, names: Names) -> str:
    return SYSTEM_TAGS.get(word.upper()) or names.path(word)


def _personalisation(match: re.Match[str], names: Names, text: str) -> str:
    """`%%FirstName%%`."""
    return f"{{{{ {_tag(match['word'], names)} }}}}"


def _ampscript_value(match: re.Match[str], names: Names, text: str) -> str:
    """`%%=v(@firstName)=%%`, `%%=ProperCase(FirstName)=%%`."""
    call = re.fullmatch(r"\s*(\w+)\s*\(\s*@?([\w.]+)[^)]*\)\s*", match["word"])
    if call is None:
        return f"{{{{ {_tag(match['word'].strip().lstrip('@'), names)} }}}}"
    also = FILTERS.get(call[1].lower())
    return f"{{{{ {_tag(call[2], names)}{f' | {also}' if also else ''} }}}}"


def _ampscript_block(match: re.Match[str], names: Names, text: str) -> str:
    """`%%[ SET @x = 1 ]%%`, `%%[ IF @x == 1 THEN ]%%`."""
    code = " ".join(match["word"].split())
    if (setting := re.match(r"(?i)set @(\w+) ?= ?(.+)", code)) is not None:
        return f"{{% assign {setting[1]} = {names.word(setting[2])} %}}"
    if (test := re.match(r"(?i)if (.+?)(?: then)?$", code)) is not None:
        condition = re.sub(r"(?i)not empty\(@?(\w+)\)", r"\1", test[1]).replace("@", "")
        return f"{{% if {names.condition(condition)} %}}"
    if re.match(r"(?i)end ?if", code):
        return "{% endif %}"
    return "{% else %}" if re.match(r"(?i)else$", code) else "{% assign name = value %}"


def _erb(match: re.Match[str], names: Names, text: str) -> str:
    word = match["word"].strip()
    if word.startswith("="):
        return f"{{{{ {names.path(word.lstrip('=').strip())} }}}}"
    if word.startswith("if "):
        return f"{{% if {names.condition(word[3:])} %}}"
    return {"end": "{% endif %}", "else": "{% else %}"}.get(word, "{% if ... %}")


DIALECTS: tuple[tuple[str, re.Pattern[str], Translate], ...] = tuple(
    (dialect, re.compile(pattern, re.DOTALL), translate)
    for dialect, pattern, translate in (
        ("Mailchimp", r"\*\|(?P<word>[A-Za-z][\w:.=]*)\|\*", _merge_tag),
        ("Salesforce", r"%%=(?P<word>.*?)=%%", _ampscript_value),
        ("Salesforce", r"%%\[(?P<word>.*?)\]%%", _ampscript_block),
        ("Salesforce", r"%%(?P<word>[A-Za-z_]\w*)%%", _personalisation),
        ("a placeholder of another tool", r"\[\[\s*[%@]?(?P<word>[\w.]+)%?\s*\]\]", _output),
        ("ERB", r"<%(?P<word>.*?)%>", _erb),
        ("Braze", r"\{\{\s*(?:\w+\.)?\$\{(?P<word>\w+)\}.*?\}\}", _output),
        ("Handlebars", r"\{\{\{\s*(?P<word>[^{}]*?)\s*\}\}\}", _output),
        ("Handlebars", r"\{\{~?\s*#\s*(?P<word>[\w.@-]+)\s*(?P<rest>[^}]*?)~?\}\}", _block),
        ("Handlebars", r"\{\{~?\s*else\b(?P<rest>[^}]*?)~?\}\}", _else),
        ("Handlebars", r"\{\{~?\s*\^(?P<rest>)\s*\}\}", _else),
        ("Mustache", r"\{\{~?\s*\^\s*(?P<word>[\w.-]+)\s*\}\}", _inverted),
        ("Handlebars", r"\{\{~?\s*/\s*(?P<word>[\w.-]+)\s*~?\}\}", _end),
        ("Handlebars", r"\{\{~?\s*>\s*(?P<word>[\w.-]+)[^}]*\}\}", _partial),
        ("Mustache", r"\{\{\s*&\s*(?P<word>[\w.]+)\s*\}\}", _output),
        ("Handlebars", r"\{\{\s*@(?P<word>index|first|last|key)\s*\}\}", _loop_variable),
        ("Handlebars", r"\{\{\s*(?P<word>(?:\.\./)+[\w.]+|this(?:\.\w+)*|\.)\s*\}\}", _output),
        ("Mustache", r"\{\{\s*!.*?\}\}", _comment),
        ("Jinja", r"\{#.*?#\}", _comment),
    )
)


def _method(part: Part, names: Names) -> str:
    name = METHODS.get(part("method"), part("method"))
    arguments = f": {part('arguments')}" if part("arguments") else ""
    return f"{{{{ {names.known(part('value'))} | {name}{arguments} }}}}"


def _ternary(part: Part, names: Names) -> str:
    other = names.known(part("other"))
    shown = f"{{% else %}}{{{{ {other} }}}}" if other else ""
    value, test = names.known(part("value")), names.known(part("test"))
    return f"{{% if {test} %}}{{{{ {value} }}}}{shown}{{% endif %}}"


def _is_nil(part: Part, names: Names) -> str:
    """`is defined` and `is not none` say the same, `is none` and `is not defined` the opposite."""
    there = (part("kind") == "defined") != bool(part("no"))
    return f"{{% {part('tag')} {part('value')} {'!=' if there else '=='} nil %}}"


JINJA: tuple[tuple[re.Pattern[str], Callable[[Part, Names], str]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), translate)
    for pattern, translate in (
        (
            r"^\{%-?\s*set\s+(?P<name>\w+)\s*=\s*(?P<value>.*?)-?%\}$",
            lambda part, names: f"{{% assign {part('name')} = {part('value')} %}}",
        ),
        (
            r"^\{%-?\s*elif\s+(?P<test>.*?)-?%\}$",
            lambda part, names: f"{{% elsif {part('test')} %}}",
        ),
        (
            r"^\{%-?\s*(?:include|import|from|extends)\b\s*(?P<name>[^\s%]*).*?%\}$",
            lambda part, names: f"{{% render {part('name') or chr(39) + 'part' + chr(39)} %}}",
        ),
        (
            r"^\{%-?\s*(?:end)?(?:block|macro|call|with|autoescape)\b.*?%\}$",
            lambda part, names: "{% render 'part' %}, with the text in _blocks/part.liquid",
        ),
        (
            r"^\{%-?\s*(?P<tag>if|elsif|elif)\s+(?P<value>[\w.]+)\s+is\s+(?P<no>not\s+)?"
            r"(?P<kind>none|None|defined|undefined)\s*-?%\}$",
            _is_nil,
        ),
        (
            r"^\{%-?\s*if\s+not\s+(?P<value>.*?)\s*-?%\}$",
            lambda part, names: f"{{% unless {part('value')} %}} ... {{% endunless %}}",
        ),
        (
            r"^\{\{-?\s*(?P<value>.+?)\s+if\s+(?P<test>.+?)(?:\s+else\s+(?P<other>.+?))?\s*-?\}\}$",
            _ternary,
        ),
        (
            r"(?P<value>[\w.]*\w)\.(?P<method>[A-Za-z_]\w*)\((?P<arguments>[^()]*)\)",
            _method,
        ),
        (
            r"^\{\{-?\s*(?P<left>[\w.\"]+)\s+(?:~|\+)\s+(?P<right>[\w.\"]+)\s*-?\}\}$",
            lambda part, names: f"{{{{ {part('left')} | append: {part('right')} }}}}",
        ),
    )
)
"""Constructs inside `{% %}` and `{{ }}`; the first that fits a token is reported."""
