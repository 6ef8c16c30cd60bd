"""Which products the service shows, and from which step of the ladder."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from personalization_assets.recommendations.models import ALGORITHMS
from personalization_tests.serving import shop
from personalization_tests.serving.service import Service, running, settings_of

LISTS = "/v1/customers/{}/recommendations"
Start = Callable[..., Service]


@pytest.fixture
def start(published: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts the service with other settings, on a copy of the publication."""
    with ExitStack() as stack:

        def begin(file: Path = published / "serving.duckdb", **serving: Any) -> Service:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            shutil.copy(file, folder / "serving.duckdb")
            return stack.enter_context(running(settings_of(folder, **serving)))

        yield begin


def test_without_context_a_customer_gets_the_published_list(
    service: Service, published: Path
) -> None:
    answer = service.get(LISTS.format("c_0042"), n=12).json()
    rows = shop.listed(published / "serving.duckdb", "c_0042")
    for name in ("product_id", "source", "reason", "recommendation_id"):
        assert [i[name] for i in answer["items"]] == [r[name] for r in rows]
    assert [i["position"] for i in answer["items"]] == list(range(1, 13))
    assert answer["served_by"] == "cached"
    assert answer["fallback"] is None
    first = answer["items"][0]
    number = int(first["product_id"][1:])
    assert first["name"] == f"Product {number}"
    assert first["price"] == 5.0 + number
    assert first["url"] == f"https://shop.example.com/p/{number}"


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_live_scores_are_those_that_the_lists_were_made_with(
    start: Start, tmp_path: Path, algorithm: str
) -> None:
    file = tmp_path / "made" / "serving.duckdb"
    shop.publish(file, algorithm=algorithm)
    live = start(file, live="always", time_limit_ms=5_000)
    for customer in ("c_0000", "c_0042", "c_0151"):
        answer = live.get(LISTS.format(customer), n=12).json()
        assert answer["served_by"] == "live"
        rows = [r for r in shop.listed(file, customer) if r["source"] == "als"]
        items = [i for i in answer["items"] if i["source"] in ("als", "similar")][: len(rows)]
        assert len(rows) >= 5
        assert [i["product_id"] for i in items] == [r["product_id"] for r in rows]
        assert [i["score"] for i in items] == pytest.approx([r["score"] for r in rows], rel=1e-4)


def test_a_cart_and_views_change_the_list_and_are_named_as_the_reason(service: Service) -> None:
    kitchen = ["P003", "P009", "P021"]
    context = {"cart": [{"product_id": p, "quantity": 2} for p in kitchen], "viewed": ["P033"]}
    for customer in ("c_0041", shop.NEWCOMER):
        without = service.items(LISTS.format(customer))
        answer = service.client.post(LISTS.format(customer), json=context).json()
        assert answer["served_by"] == "live"
        found = [i["product_id"] for i in answer["items"]]
        assert found != [i["product_id"] for i in without]
        assert not {*kitchen, "P033"} & set(found)
    # what the newcomer wants is known from the cart alone
    assert {i["category"] for i in answer["items"]} == {"Kitchen"}
    reasons = [i["reason"] for i in answer["items"]]
    assert any(r.startswith("Goes with Product") and r.endswith("in your cart") for r in reasons)


def test_what_happens_now_counts_as_much_as_the_setting_says(start: Start) -> None:
    path, cart = LISTS.format("c_0041"), ["P003", "P009", "P021"]
    ordinary = start(time_limit_ms=5_000).items(path, cart=cart)
    urgent = start(time_limit_ms=5_000, context_weight=100).items(path, cart=cart)

    def kitchen(items: list[dict[str, Any]]) -> int:
        return sum(i["category"] == "Kitchen" for i in items)

    assert kitchen(urgent) > kitchen(ordinary)


def test_a_live_list_is_not_all_of_one_kind(start: Start) -> None:
    path, context = LISTS.format("c_0042"), {"viewed": ["P001", "P002"], "n": 6}

    def categories(service: Service, **more: Any) -> list[str]:
        return [i["category"] for i in service.items(path, **context, **more)]

    loose = start(time_limit_ms=5_000, lists={"max_per_category": 0, "max_per_brand": 0})
    mixed = start(time_limit_ms=5_000, lists={"max_per_category": 2, "max_per_brand": 0})
    assert max(categories(loose).count(c) for c in ("Kitchen", "Garden", "Textiles")) > 2
    assert sorted(categories(mixed)) == sorted(["Kitchen", "Garden", "Textiles"] * 2)
    assert categories(mixed, category="Kitchen") == ["Kitchen"] * 6
    # all products are of one brand: where only they are left, they fill the list
    short = start(time_limit_ms=5_000, lists={"max_per_brand": 1, "max_per_category": 0})
    assert categories(short) == categories(loose)


def test_the_same_context_by_get_and_by_post_gives_the_same_answer(service: Service) -> None:
    path = LISTS.format("c_0012")
    context = {"cart": ["P003"], "viewed": ["P010", "P011"], "exclude": ["P013"], "n": 5}
    got = service.get(path, **context).json()
    lines = [{"product_id": "P003"}]
    posted = service.client.post(path, json={**context, "cart": lines}).json()
    assert {**got, "request_id": ""} == {**posted, "request_id": ""}


@pytest.mark.parametrize("customer", ["c_0042", shop.NO_CONSENT, shop.NEWCOMER, "nobody"])
@pytest.mark.parametrize("context", [{}, {"viewed": ["P004"]}], ids=["", "in context"])
def test_rules_of_the_request_hold_on_every_step_of_the_ladder(
    service: Service, customer: str, context: dict[str, Any]
) -> None:
    items = service.items(
        LISTS.format(customer), n=50, category="Garden", max_price=40, exclude="P001", **context
    )
    assert items
    assert {i["category"] for i in items} == {"Garden"}
    assert max(i["price"] for i in items) <= 40
    assert not {"P001", *context.get("viewed", ())} & {i["product_id"] for i in items}
    assert len({i["product_id"] for i in items}) == len(items)


@pytest.mark.parametrize("live", ["always", "with_context"])
def test_what_can_not_be_sold_or_was_just_bought_is_never_shown(start: Start, live: str) -> None:
    found = start(live=live, time_limit_ms=5_000)
    shown = found.items(LISTS.format("c_0000"), n=100)
    # c_0000 bought P000 lately; P005 is out of stock
    assert {i["product_id"] for i in shown} == {
        f"P{i:03d}" for i in range(shop.PRODUCTS) if i not in (0, 5)
    }


def test_who_did_not_agree_to_personal_contents_gets_best_sellers(service: Service) -> None:
    answer = service.get(LISTS.format(shop.NO_CONSENT), n=5, viewed="P003").json()
    assert answer["served_by"] == "popular"
    assert answer["fallback"] == "no_consent"
    assert [i["product_id"] for i in answer["items"]] == ["P000", "P001", "P002", "P004", "P006"]
    assert {i["reason"] for i in answer["items"]} == {"Popular right now"}


def test_a_merged_customer_is_answered_under_the_id_that_stands_for_them(service: Service) -> None:
    old = service.get(LISTS.format(shop.RETIRED)).json()
    assert old["customer_id"] == shop.HEIR
    assert old["known"]
    assert old["items"] == service.items(LISTS.format(shop.HEIR))
    assert service.get(f"/v1/customers/{shop.RETIRED}/profile").json()["customer_id"] == shop.HEIR
    assert not service.get(LISTS.format(shop.GONE)).json()["known"]


def test_nobody_we_know_gets_best_sellers_or_is_not_found_as_the_setting_says(
    service: Service, start: Start
) -> None:
    answer = service.get(LISTS.format("nobody")).json()
    assert (answer["known"], answer["served_by"]) == (False, "popular")
    assert answer["fallback"] == "unknown_customer"
    strict = start(unknown_customers="not_found")
    assert strict.get(LISTS.format("nobody")).status_code == 404
    assert strict.get(LISTS.format(shop.NO_CONSENT)).status_code == 200


def test_without_time_for_a_live_list_the_published_one_is_given(
    start: Start, published: Path
) -> None:
    hurried = start(time_limit_ms=0)
    answer = hurried.get(LISTS.format("c_0042"), viewed="P059", n=5).json()
    assert (answer["served_by"], answer["fallback"]) == ("cached", "switched_off")
    rows = shop.listed(published / "serving.duckdb", "c_0042")
    wanted = [r["product_id"] for r in rows if r["product_id"] != "P059"][:5]
    assert [i["product_id"] for i in answer["items"]] == wanted


@pytest.mark.parametrize(
    ("cause", "limits"),
    [
        ("late", {"scoring_queue": 100, "time_limit_ms": 1}),
        ("busy", {"scoring_queue": 0, "time_limit_ms": 5_000}),
    ],
)
def test_a_crowd_waits_neither_long_nor_in_vain(
    start: Start, tmp_path: Path, cause: str, limits: dict[str, float]
) -> None:
    file = tmp_path / "made" / "serving.duckdb"
    shop.publish(file, products=6_000)  # scoring takes a while
    crowded = start(file, scoring_threads=1, **limits)

    def ask(number: int) -> dict[str, Any]:
        path = LISTS.format(f"c_{number:04d}")
        answer: dict[str, Any] = crowded.get(path, viewed="P2000").json()
        return answer

    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(ask, range(4, 196)))
    assert {len(answer["items"]) for answer in answers} == {8}
    given_up = [answer for answer in answers if answer["fallback"]]
    assert {(a["served_by"], a["fallback"]) for a in given_up} == {("cached", cause)}
    assert {a["served_by"] for a in answers if not a["fallback"]} <= {"live"}
    metrics = crowded.get("/metrics").text
    assert f'personalize_fallbacks_total{{cause="{cause}"}} {len(given_up)}.0' in metrics


def test_without_a_model_the_published_lists_and_best_sellers_are_all_there_is(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "made" / "serving.duckdb"
    shop.publish(file, algorithm=None)
    plain = start(file)
    answer = plain.get(LISTS.format("c_0042"), viewed="P003").json()
    assert (answer["model_version"], answer["served_by"]) == ("none", "cached")
    assert answer["fallback"] == "no_model"
    assert len(answer["items"]) == 8
    near = plain.get("/v1/products/P003/similar").json()
    assert near["served_by"] == "popular"
    assert {i["category"] for i in near["items"]} == {"Kitchen"}


def test_similar_products_are_the_published_ones_that_can_be_sold(service: Service) -> None:
    answer = service.get("/v1/products/P009/similar", n=5).json()
    assert answer["served_by"] == "cached"
    scores = [i["score"] for i in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    shown = [i["product_id"] for i in answer["items"]]
    assert not {"P009", "P005"} & set(shown)
    others = service.items("/v1/products/P009/similar", n=5, exclude=shown[0])
    assert shown[0] not in [i["product_id"] for i in others]
    assert service.get("/v1/products/P999/similar").status_code == 404
