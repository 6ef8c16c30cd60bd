"""Words that random templates are made of, by the kind of value that they probably give."""

from collections.abc import Sequence

PATHS: dict[str, Sequence[str]] = {
    "text": (
        "customer.name", "customer.tier", "customer.address.city", "s", "note", "shop.name",
        "shop.url", "links.home", "links.out", "box.name", "box.first", "words[0]", "words.first",
        "customer['name']", "brands.last", "customer.tags[1]", "products[0].name",
        "products.first.maker.name", "viewed.last.name", "links.deep.name", "words[-1]",
    ),
    "number": (
        "customer.points", "customer.ltv", "customer.balance", "customer.address.geo.lat", "n", "x",
        "few", "amount", "cart.total", "cart.size", "box.last", "box.size", "shop.fee",
        "shop.year", "top", "words.size", "products.size", "numbers[1]", "prices.last",
        "grid[0][1]", "grid[few][0]", "s.size", "customer.size", "shop.size", "products[n].price",
        "viewed[0].maker.size", "customer.tags.size",
    ),
    "list": (
        "words", "numbers", "prices", "grid", "products", "viewed", "cart.items", "cart.plain",
        "customer.tags", "brands", "products[0].tags", "grid.first", "grid[1]",
    ),
    "flag": ("customer.app", "flag", "products[0].sale", "viewed.first.sale"),
    "date": ("customer.joined", "customer.born", "day"),
    "any": (
        "customer", "cart", "box", "nosuch", "customer.nosuch.deep", "nothing", "shop", "links",
        "shop.nosuch", "n.x", "s.first", "words.x", "now", "today", "partial",
        "tablerowloop",
        "forloop.index", "forloop.parentloop.index", "tablerowloop.col", "customer[s]",
        "customer[box.name]", "shop[note]", "customer.address", "products[0]", "words.first.size",
        "box['first']", "links.nosuch", "flag.size", "few.first", "nosuch[0]", "['s']",
    ),
}  # fmt: skip
PROPERTIES = ("index", "index0", "rindex", "rindex0", "first", "last", "length", "name")
CELLS = ("col", "col0", "col_first", "col_last", "row", "index", "first", "last", "length")
FIELDS = ("name", "price", "was", "rating", "stock", "sale", "tags", "maker.name", "maker.size")
LOCALS = ("a", "b", "c", "s", "n", "shop", "products", "item")
ITEMS = ("p", "q", "item", "words", "a", "n")
LITERALS: dict[str, Sequence[str]] = {
    "text": ("'vip'", "'a'", "''", "' '", '"<b>\'x"', "'12'", "'é漢'", "'Shoes'", "'{0}%s'"),
    "number": ("0", "1", "2", "3", "10", "-1", "2.5", "0.0", "1.0", "100", "3.14159"),
    "any": ("true", "false", "nil", "empty", "blank", "null", "(1..3)"),
}
FORMATS = ("'%Y-%m-%d'", "'%d %b %y'", "'%H:%M'", "''", "s", "nil", "'%%'", "'%-d'")

Filters = Sequence[tuple[str, str]]
"""Filters of one kind of value, each with the kind that it gives; `$x` is an argument of kind x."""
FILTERS: dict[str, Filters] = {
    "text": (
        *((f, "text") for f in (
            "upcase", "downcase", "capitalize", "strip", "lstrip", "rstrip", "squish",
            "strip_html", "strip_newlines", "newline_to_br", "escape", "escape_once",
            "url_encode", "url_decode", "base64_encode", "append: $text", "prepend: $text",
            "replace: $text, $text", "replace_first: $text, $text", "replace_last: $text, $text",
            "remove: $text", "remove_first: $text", "remove_last: $text", "truncate: $number",
            "truncate: 7, $text", "truncate", "truncatewords: 2", "truncatewords: $number, $text",
            "slice: 0, 3", "slice: $number", "slice: -2, $number", "default: $text",
            "default: $text, allow_false: true", "safe", "escapejs", "utm", "utm: $text",
            "number_with_delimiter", "concerned",
        )),
        ("size", "number"), ("split: $text", "list"), ("split: ','", "list"),
        ("date: $date", "text"),
        ("base64_decode", "text"), ("plus: 1", "number"), ("first", "text"), ("last", "text"),
    ),
    "number": (
        *((f, "number") for f in (
            "plus: $number", "minus: $number", "times: $number", "divided_by: $number", "abs",
            "modulo: $number", "ceil", "floor", "round", "round: $number", "at_least: $number",
            "at_most: $number", "default: $number", "round: 2", "divided_by: 2.0",
        )),
        ("money", "text"), ("number", "text"), ("number: 2", "text"), ("append: $text", "text"),
        ("number_with_delimiter", "text"), ("size", "number"), ("date: '%Y'", "text"),
        ("money: $text", "text"), ("truncate: 4", "text"), ("upcase", "text"),
    ),
    "list": (
        *((f, "list") for f in (
            "reverse", "sort", "sort: 'price'", "sort_natural", "sort_natural: 'name'",
            "map: 'name'", "map: 'price'", "where: 'sale'", "where: 'name', $text",
            "where: 'sale', false", "reject: 'sale'", "uniq", "uniq: 'name'", "compact",
            "compact: 'was'", "concat: $list", "slice: 1, 2", "default: $list", "map: $text",
        )),
        ("join: $text", "text"), ("join", "text"), ("first", "any"), ("last", "any"),
        ("size", "number"), ("sum", "number"), ("sum: 'price'", "number"),
        ("find: 'name', $text", "any"), ("find_index: 'sale'", "number"), ("has: 'sale'", "flag"),
        ("has: 'name', $text", "flag"), ("upcase", "text"),
    ),
    "flag": (
        ("default: $text", "any"), ("default: 1, allow_false: true", "any"),
        ("append: '!'", "text"),
    ),
    "date": (("date: $date", "text"), ("date: '%Y-%m-%d'", "text"), ("append: $text", "text")),
    "any": (("default: $text", "text"), ("size", "number"), ("json", "text"), ("first", "any"),
            ("default: $any, allow_false: $flag", "any"), ("join: ','", "text")),
}  # fmt: skip
PARTIALS = ("card", "row.liquid", "deep")
