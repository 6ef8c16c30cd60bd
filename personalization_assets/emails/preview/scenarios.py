"""Scenarios: made-up contexts that a campaign's mails must survive.

`typical` is a customer of whom much is known; the others differ from it in what their title says.
All of them are as `contexts.contexts` would fill them: sums of the cart add up, and somebody who
did not agree to personalisation has no cart and no picks. The same contract gives the same
scenarios.

A campaign's own scenarios are in `scenarios.yaml` in its folder, by name, each with the values that
differ from `typical`; of a list of products, a number takes so many:

    vip_without_name:
      title: A good customer whose name we do not know
      customer: {first_name: null, is_vip: true}
      recommendations: 3
      cart: {items: 0}
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.mail_context import WITHOUT_CONSENT
from personalization_assets.emails.preview.values import (
    BESTSELLERS,
    SOURCES,
    Context,
    believable,
    product,
)

UTM = "{utm}"
"""Stands in the links of a context for the tags of the variant that is rendered."""
Location = tuple[str | int, ...]
"""Where a value lies in a context: ("recommendations", 0, "name"); "size" of a list is its
length."""
Change = Callable[[str, pa.DataType, Any], Any]
LISTS: Mapping[str, str] = {"recommendations": "products", "cart": "cart", "viewed": "viewed"}
"""Roots that hold products, and the tag of their links."""
FIXED = frozenset(
    {
        *("customer_id", "household_id", "email", "country", "language", "time_zone"),
        *("product_id", "url", "image_url", "tile", "position", "source", "quantity"),
    }
)
"""Fields whose values are not words that anybody wrote."""
NEVER_NULL = frozenset(
    {
        *("customer_id", "email", "product_id", "name", "price", "url", "tile", "position"),
        *("few_left", "is_new", "source", "quantity", "line_total"),
    }
)
"""Fields of customers and products that the SQL behind contexts never leaves empty."""
MANY = 12
UNBROKEN = "Donaudampfschifffahrtsgesellschaftskapitänsmütze"


@dataclass(frozen=True)
class Scenario:
    """A context with a name. `origin`: made for every campaign, for a branch, or the campaign's
    own."""

    key: str
    title: str
    context: Context
    origin: Literal["general", "branch", "own"] = "general"


class Maker:
    """Makes contexts of one campaign that fit a contract (`mail_contract`), at a time."""

    def __init__(
        self,
        contract: Mapping[str, pa.DataType],
        campaign: Campaign,
        brand: Brand,
        as_of: datetime,
    ) -> None:
        self.contract, self.campaign, self.brand, self.as_of = contract, campaign, brand, as_of

    def typical(self) -> Context:
        """A customer of whom much is known, with a cart of two things and a full mail."""
        made = {root: believable(root, self.contract[root], self.as_of) for root in _OWN}
        made["mail"] |= {
            "personalised": True,
            "regional_offer": "",
            "year": self.as_of.year,
            "subject": "",
            "preheader": "",
        }
        made["cart"] |= {"items": [], "hours": 20}
        made |= {"recommendations": [], "viewed": []}
        self.resize(made, "recommendations", self.campaign.file.products.count)
        self.resize(made, "cart", 2)
        self.resize(made, "viewed", 3)
        return self.settle(made)

    def products(self, context: Context, root: str) -> list[dict[str, Any]]:
        """The products that a root of a context holds."""
        found: list[dict[str, Any]] = context["cart"]["items"] if root == "cart" else context[root]
        return found

    def item_type(self, root: str) -> pa.DataType:
        """Type of a root's products."""
        kind = self.contract[root]
        return (kind.field("items").type if root == "cart" else kind).value_type

    def resize(self, context: Context, root: str, count: int) -> None:
        """Let a list of products have so many: the first ones, and more of the shop's."""
        items = self.products(context, root)
        del items[count:]
        for number in range(len(items) + 1, count + 1):
            made = product(self.item_type(root), number, LISTS[root], UTM, self.brand, self.as_of)
            items.append(made)

    def settle(self, context: Context) -> Context:
        """Make derived values follow from the others, as the SQL behind real contexts does."""
        mail, cart, shown = context["mail"], context["cart"], context["recommendations"]
        if not mail["personalised"]:
            known = context["customer"]
            context["customer"] = {
                name: value if name in WITHOUT_CONSENT else None for name, value in known.items()
            }
            cart |= {"items": [], "updated_at": None, "hours": None}
            context["viewed"] = []
            for item in shown:
                item |= {"source": "bestseller", "reason": None, "because": None}
        for root in LISTS:
            for position, item in enumerate(self.products(context, root), start=1):
                item["position"] = position
        for item in cart["items"]:
            item["line_total"] = item["quantity"] * item["price"]
        cart["size"] = len(cart["items"])
        cart["quantity"] = sum(item["quantity"] for item in cart["items"])
        cart["total"] = float(sum(item["line_total"] for item in cart["items"]))
        mail["bestsellers"] = all(item["source"] in BESTSELLERS for item in shown)
        return context

    def put(self, context: Context, location: Location, value: Any) -> None:
        """Set a value, or for a derived one what it is derived from; `settle` must follow."""
        root = str(location[0])
        if location[-1] == "size" and root in LISTS and len(location) <= 3:
            self.resize(context, root, max(int(value), 0))
        elif location[-1] == "size":
            place = self._at(context, location[:-2])
            have = place[location[-2]] or ["Kitchen"]
            place[location[-2]] = (have * (int(value) + 1))[: max(int(value), 0)]
        elif location == ("mail", "bestsellers"):
            for number, item in enumerate(context["recommendations"]):
                item["source"] = "bestseller" if value else SOURCES[number % 3]
                item["because"] = None if value else item["because"]
        elif location in (("cart", "total"), ("cart", "quantity")) and context["cart"]["items"]:
            field = "price" if location[1] == "total" else "quantity"
            share = value / max(context["cart"][location[1]], 1)
            for item in context["cart"]["items"]:
                item[field] = type(item[field])(item[field] * share)
        else:
            self._at(context, location[:-1])[location[-1]] = value

    def _at(self, context: Context, location: Location) -> Any:
        place: Any = context
        for segment in location:
            place = place[segment]
        return place

    def varied(self, base: Context, change: Change) -> Context:
        """A copy of a context with `change(name, type, value)` in place of the fields of its
        customer and products that are neither ids nor links."""
        made = copy.deepcopy(base)
        _change_fields(made["customer"], self.contract["customer"], change)
        for root in LISTS:
            for item in self.products(made, root):
                _change_fields(item, self.item_type(root), change)
        return self.settle(made)


_OWN = ("customer", "cart", "mail")


def _change_fields(values: dict[str, Any], kind: pa.DataType, change: Change) -> None:
    for field in kind:
        if field.name in values and field.name not in FIXED and not field.name.endswith("_origin"):
            values[field.name] = change(field.name, field.type, values[field.name])


def general_scenarios(maker: Maker) -> Iterator[Scenario]:
    """The scenarios that every campaign has; `typical` comes first."""
    typical = maker.typical()
    products = maker.campaign.file.products
    yield Scenario("typical", "A customer whom the shop knows well", typical)
    for key, title, change in _VARIATIONS:
        yield Scenario(key, title, maker.varied(typical, change))
    nobody = maker.varied(typical, _nothing)
    maker.put(nobody, ("mail", "bestsellers"), True)
    maker.resize(nobody, "cart", 0)
    nobody["cart"] |= {"updated_at": None, "hours": None}
    nobody["viewed"] = []
    yield Scenario("nobody", "Nothing is known but the address", maker.settle(nobody))
    yield Scenario(
        "no_consent",
        "Did not agree to personalisation",
        _with(maker, {("mail", "personalised"): False}),
    )
    counts = (
        ("no_recommendations", "No product to show", 0),
        ("one_product", "One product", 1),
        ("fewest_products", "As few products as the campaign allows", products.minimum),
        ("odd_products", "An odd number of products", 3),
    )
    for key, title, count in counts:
        yield Scenario(key, title, _with(maker, {("recommendations", "size"): count}))
    yield Scenario(
        "best_sellers",
        "Best sellers in place of picks",
        _with(maker, {("mail", "bestsellers"): True}),
    )
    carts = (("no_cart", "Nothing in the basket", 0), ("one_in_cart", "One thing in the basket", 1))
    for key, title, count in (*carts, ("large_cart", "A full basket", MANY)):
        yield Scenario(key, title, _with(maker, {("cart", "size"): count}))


def _with(maker: Maker, values: Mapping[Location, Any]) -> Context:
    made = maker.typical()
    for location, value in values.items():
        maker.put(made, location, value)
    return maker.settle(made)


def _nothing(name: str, kind: pa.DataType, value: Any) -> Any:
    return value if name in NEVER_NULL else None


def _texts(change: Callable[[str, str], str], many: int = 0) -> Change:
    """A change of texts, and of the texts in lists, of which there are then so many."""

    def changed(name: str, kind: pa.DataType, value: Any) -> Any:
        if pa.types.is_string(kind):
            return change(name, value or name)
        if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
            texts = [change(name, text) for text in value or ["Kitchen"]]
            return (texts * many)[:many] if many else texts
        return value

    return changed


def _emptied(name: str, kind: pa.DataType, value: Any) -> Any:
    if pa.types.is_string(kind) and name not in NEVER_NULL:
        return ""
    return [] if pa.types.is_list(kind) else value


def _numbers(whole: int, broken: float) -> Change:
    def changed(name: str, kind: pa.DataType, value: Any) -> Any:
        if pa.types.is_integer(kind):
            return whole
        return broken if pa.types.is_floating(kind) else value

    return changed


def _long(name: str, value: str) -> str:
    if name in ("first_name", "given_name"):
        return "Maximiliane-Friederike-A"  # 24 letters: longer ones are no way to address anybody
    return f"{value} and {UNBROKEN} with everything that belongs to it, in many colours and sizes"


def _right_to_left(name: str, value: str) -> str:
    words = {
        "first_name": "مريم",
        "given_name": "مريم",
        "family_name": "חדד",
        "name": "קרש הגשה מעץ אלון",
    }
    return words.get(name, "المطبخ والحديقة")


def _markup(name: str, value: str) -> str:
    return f"<b>{value}</b> \"&' {{{{ x }}}} <script>alert(1)</script>"


def _emoji(name: str, value: str) -> str:
    return f"{value} 👩‍👩‍👧‍👦 Zoe\u0308 🇮🇪"


_VARIATIONS: tuple[tuple[str, str, Change], ...] = (
    ("empty_texts", "Texts and lists are there, but empty", _emptied),
    ("zeros", "Every number is 0", _numbers(0, 0.0)),
    ("huge_numbers", "Numbers with many digits", _numbers(9_876_543, 1_234_567.89)),
    ("negative_numbers", "Every number is below 0", _numbers(-3, -12.5)),
    ("long_texts", "Very long names, words and lists", _texts(_long, MANY)),
    ("right_to_left", "Arabic and Hebrew", _texts(_right_to_left)),
    ("markup", "HTML, quotes and Liquid in every text", _texts(_markup)),
    ("emoji", "Emoji, flags and combining accents", _texts(_emoji)),
)
