"""Regular expressions that polars, DuckDB and Python read alike."""

import re

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # as in a class
"""Unicode's White_Space, `\\s` to polars. `\\s` is more to Python, and only ASCII's to DuckDB."""


def spelled_out(pattern: str) -> str:
    r"""A regular expression of polars with `\s` as the characters that it stands for.

    Raises:
        ValueError: the pattern has a part that the engines read differently.
    """
    out: list[str] = []
    in_class = False
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\" and i + 1 < len(pattern):
            pair = pattern[i : i + 2]
            i += 2
            if pair[1] in "wWbBSDdpPAzZ" or pair[1].isdigit():
                raise ValueError(f"`{pair}` in `{pattern}`: list the characters instead")
            out.append((WHITE_SPACE if in_class else f"[{WHITE_SPACE}]") if pair == r"\s" else pair)
            continue
        if pattern[i : i + 2] == "(?" and pattern[i : i + 3] != "(?:" and not in_class:
            raise ValueError(f"`{pattern[i : i + 3]}` in `{pattern}`: only `(?:` is allowed")
        if char == "[" and not in_class:
            in_class = True
        elif char == "]" and in_class and out[-1] not in ("[", "^"):
            in_class = False
        out.append(char)
        i += 1
    return "".join(out)


def python_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression of polars for Python, where `$` would also match before a line end.

    Raises:
        ValueError: the pattern has a part that the engines read differently, or is none.
    """
    text = spelled_out(pattern)
    ends = re.sub(r"(\\.)|(\[\^?\]?(?:\\.|[^\]\\])*\])|(\$)", _end, text, flags=re.DOTALL)
    try:
        return re.compile(ends)
    except re.error as error:
        raise ValueError(f"`{pattern}` is no regular expression: {error}") from None


def _end(found: re.Match[str]) -> str:
    return r"\Z" if found[3] else found[0]
