"""Names as other tools write them, mapped to what a template may use here."""

import re
from collections.abc import Mapping

import pyarrow as pa

PEOPLE = {"customer", "user", "person", "contact", "subscriber", "recipient", "member", "profile"}
"""What other tools call the reader of a mail."""

FIELDS = {
    "fname": "first_name",
    "firstname": "first_name",
    "lname": "family_name",
    "lastname": "family_name",
    "surname": "family_name",
    "emailaddress": "email",
    "emailaddr": "email",
}
"""Names of fields in other tools, without case and underscores, and ours."""

COMPARISONS = {"eq": "==", "ne": "!=", "gt": ">", "lt": "<", "gte": ">=", "lte": "<="}


class Names:
    """Maps names as other tools write them to what a template may use here."""

    def __init__(self, roots: Mapping[str, pa.DataType]) -> None:
        self._roots = roots

    def path(self, written: str) -> str:
        """`customer.isVIP` becomes `customer.is_vip`, `this.name` becomes `item.name`."""
        words = [w for w in re.split(r"[.\s]+", written.strip().lstrip("@&$~-")) if w]
        while words and words[0] in ("..", "../", "/"):
            words.pop(0)
        words = [w.removeprefix("../") for w in words]
        if not words:
            return "item"
        if words[0] == "this":
            return ".".join(["item", *map(snake, words[1:])])
        root = self._field(words[0], self._roots)
        if root is None and plain(words[0]) in PEOPLE:
            root = "customer"
        if root is None:
            field = self.customer_field(words[0])
            if field is None:
                return ".".join(map(snake, words))
            return ".".join(["customer", field, *map(snake, words[1:])])
        out, kind = [root], self._roots.get(root, pa.null())
        for word in words[1:]:
            fields = (
                {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
                if pa.types.is_struct(kind)
                else {}
            )
            name = self._field(word, fields) or FIELDS.get(plain(word)) or snake(word)
            out.append(name)
            kind = fields.get(name, pa.null())
        return ".".join(out)

    def known(self, written: str) -> str:
        """The same where it leads to something that is known here; else what was written."""
        if not re.fullmatch(r"[A-Za-z_][\w.]*", written):
            return written
        mapped = self.path(written)
        return mapped if mapped.partition(".")[0] in self._roots else written

    def customer_field(self, word: str) -> str | None:
        """The column of golden_profiles that a bare name means, if any."""
        kind = self._roots.get("customer", pa.null())
        names = (
            {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
            if pa.types.is_struct(kind)
            else {}
        )
        return self._field(word, names) or FIELDS.get(plain(word))

    def is_list(self, path: str) -> bool:
        """Whether a path names a list."""
        kind: pa.DataType = pa.struct(list(self._roots.items()))
        for word in path.split("."):
            if not pa.types.is_struct(kind) or kind.get_field_index(word) < 0:
                return False
            kind = kind.field(word).type
        return bool(pa.types.is_list(kind))

    def condition(self, written: str) -> str:
        """`(eq user.plan "gold")` becomes `customer.plan == "gold"`."""
        text = written.strip()
        call = re.fullmatch(r"\((\w+)\s+(\S+)(?:\s+(.+?))?\)", text)
        if call and call[1] in COMPARISONS and call[3]:
            return f"{self.word(call[2])} {COMPARISONS[call[1]]} {self.word(call[3])}"
        if call and call[1] in ("and", "or") and call[3]:
            return f"{self.word(call[2])} {call[1]} {self.word(call[3])}"
        if call and call[1] == "not":
            return f"{self.word(call[2])} == false"
        words = re.split(r"(\s*(?:==|!=|<=|>=|<|>)\s*|\s+(?:and|or)\s+|\s*&&\s*|\s*\|\|\s*)", text)
        same = {"&&": "and", "||": "or"}
        return " ".join(same.get(w.strip(), self.word(w.strip())) for w in words if w.strip())

    def word(self, text: str) -> str:
        """A value or an operator stays; a name is mapped."""
        if re.fullmatch(r"""-?[\d.]+|'.*'|".*"|true|false|nil|==|!=|<=|>=|<|>|and|or""", text):
            return text
        return self.path(text)

    @staticmethod
    def _field(word: str, known: Mapping[str, pa.DataType]) -> str | None:
        if word in known:
            return word
        return next((name for name in known if plain(name) == plain(word)), None)


def plain(word: str) -> str:
    """A name without case, underscores and signs, so that isVIP and is_vip are the same."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def snake(word: str) -> str:
    """camelCase as snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
