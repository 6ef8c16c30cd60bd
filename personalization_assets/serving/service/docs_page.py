"""The interface as a page: made from its OpenAPI description, without scripts from elsewhere.

The usual pages load their program from a public server, in a browser that is about to be given a
key, and stay white where there is no way out to it.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; border-radius: 6px }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line) }
h2 code { font-size: 16px } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
.method { font: bold 13px ui-monospace, monospace; padding: .1rem .5rem; border-radius: 4px;
  background: #2563eb; color: #fff }
.post { background: #15803d } small { opacity: .75 }
"""


def page(api: Mapping[str, Any]) -> str:
    """The page of an OpenAPI description."""
    info = api["info"]
    paragraphs = "".join(f"<p>{_code(p)}</p>" for p in info["description"].strip().split("\n\n"))
    operations = [
        (path, method, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    index = "".join(
        f'<li><a href="#{escape(op["operationId"])}"><code>{method.upper()} {escape(path)}</code>'
        f"</a> {escape(op['summary'])}</li>"
        for path, method, op in operations
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1>{paragraphs}"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"<ul>{index}</ul>"
        + "".join(_operation(api, *operation) for operation in operations)
        + "</html>"
    )


def _operation(api: Mapping[str, Any], path: str, method: str, op: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{escape(op["operationId"])}"><h2><span class="method {method}">'
        f"{method.upper()}</span> <code>{escape(path)}</code></h2>"
        f"<p>{escape(op['summary'])}. {_code(op.get('description', ''))}</p>"
    ]
    if parameters := op.get("parameters"):
        rows = [(p["name"], p["in"], p["schema"], p.get("description", "")) for p in parameters]
        parts.append(f"<h3>Parameters</h3>{_table(api, rows)}")
    if body := op.get("requestBody"):
        schema = _resolved(api, body["content"]["application/json"]["schema"])
        parts.append(f"<h3>Body</h3>{_fields(api, schema)}")
        if examples := schema.get("examples"):
            parts.append(f"<pre>{escape(json.dumps(examples[0], indent=2))}</pre>")
    answers = ""
    for status, response in op["responses"].items():
        answers += f"<tr><td>{status}</td><td>{_code(response['description'])}</td></tr>"
    good = op["responses"]["200"].get("content", {}).get("application/json", {}).get("schema")
    if good:
        parts.append(f"<h3>Answer</h3>{_fields(api, _resolved(api, good))}")
    parts.append(f"<h3>Status</h3><table>{answers}</table></section>")
    return "".join(parts)


def _fields(api: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return _table(api, list(_flat(api, schema, "")))


def _flat(
    api: Mapping[str, Any], schema: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    """Fields of an object, those of lists of objects after their list."""
    for name, field in schema.get("properties", {}).items():
        yield prefix + name, "", field, field.get("description", "")
        inner = _resolved(api, field.get("items", {}))
        yield from _flat(api, inner, f"{prefix}{name}[].")


def _table(api: Mapping[str, Any], rows: list[tuple[str, str, Mapping[str, Any], str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code>{f' <small>{where}</small>' if where else ''}</td>"
        f"<td>{escape(_kind(api, schema))}</td><td>{_code(words)}</td></tr>"
        for name, where, schema, words in rows
    )
    return f"<table>{cells}</table>"


def _kind(api: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A type and its bounds in words."""
    if "$ref" in schema:
        schema = _resolved(api, schema)
    if options := schema.get("anyOf"):
        return " or ".join(_kind(api, option) for option in options)
    if values := schema.get("enum"):
        return ", ".join(map(str, values))
    if "const" in schema:
        return str(schema["const"])
    kind: str = schema.get("format") or schema.get("type", "any")
    if kind == "array":
        kind = f"list of {_kind(api, schema['items'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        kind += f", {int(low):,} to {int(high):,}"
    if "default" in schema and schema["default"] not in (None, []):
        kind += f", else {schema['default']}"
    return kind


def _resolved(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = api["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return found
    return schema


def _code(text: str) -> str:
    """Text in which `code` is marked as in Markdown."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))
