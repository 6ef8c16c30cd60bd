"""The interface is described in full, keeps to its description, and nothing a caller sends breaks
it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_assets.emails.mail_context import WITHOUT_CONSENT
from personalization_assets.serving.settings import ServingSettings
from personalization_tests.conftest import REPOSITORY
from personalization_tests.serving import shop
from personalization_tests.serving.service import Service

Api = dict[str, Any]


@pytest.fixture(scope="module")
def api(service: Service) -> Api:
    description: Api = service.get("/openapi.json").json()
    return description


def operations(api: Api) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def schema_of(api: Api, operation: dict[str, Any], status: int) -> dict[str, Any]:
    """The JSON schema of an answer, with what it refers to."""
    content = operation["responses"][str(status)]["content"]
    (body,) = content.values()
    return {**body["schema"], "components": api["components"]}


def test_every_address_says_what_it_is_for_what_it_takes_and_how_it_fails(api: Api) -> None:
    assert api["openapi"].startswith("3.1")
    assert len(list(operations(api))) == 8
    for path, method, operation in operations(api):
        name = f"{method} {path}"
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], f"{name}: {parameter['name']}"
        if path.startswith("/v1") or path == "/metrics":
            assert operation["security"] == [{"API key": []}], name
            for status in ("401", "403", "429", "503"):
                (media_type,) = operation["responses"][status]["content"]
                assert media_type == "application/problem+json", f"{name}: {status}"
        if path.startswith("/v1"):
            assert "Scope: `" in operation["description"], name


def test_every_field_of_answers_and_bodies_is_described_or_speaks_for_itself(api: Api) -> None:
    plain = {"category", "brand", "product_id", "name", "items", "model_version", "status"}
    plain |= {"type", "title", "request_id"}
    for name, schema in api["components"]["schemas"].items():
        if name in ("ValidationError", "HTTPValidationError"):
            continue
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["description"], name
        for field, about in schema["properties"].items():
            assert about.get("description") or field in plain, f"{name}.{field}"


def test_real_answers_keep_to_their_description(service: Service, api: Api) -> None:
    asked = {
        "/v1/customers/{customer_id}/recommendations": ["c_0042", shop.NO_CONSENT, "nobody"],
        "/v1/customers/{customer_id}/profile": ["c_0042", shop.NO_CONSENT, "nobody"],
        "/v1/customers/{customer_id}/preferences": ["c_0042", "c_0043", "nobody"],
        "/v1/products/{product_id}/similar": ["P009", "P005", "nothing"],
        "/health/live": [""],
        "/health/ready": [""],
    }
    for template, values in asked.items():
        operation = api["paths"][template]["get"]
        for value in values:
            path = template.replace("{customer_id}", value).replace("{product_id}", value)
            answer = service.get(path)
            schema = schema_of(api, operation, answer.status_code)
            jsonschema.validate(answer.json(), schema)


def test_the_examples_of_the_description_work(service: Service, api: Api) -> None:
    (example,) = api["components"]["schemas"]["Context"]["examples"]
    answer = service.client.post("/v1/customers/c_0042/recommendations", json=example)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == example["n"]


def test_the_page_shows_every_address_and_needs_nothing_from_elsewhere(
    service: Service, api: Api
) -> None:
    answer = service.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for path, method, operation in operations(api):
        assert f"{method.upper()} {path}" in answer.text
        for parameter in operation.get("parameters", ()):
            assert f"<code>{parameter['name']}</code>" in answer.text
    for outside in ("<script", "src=", "@import", 'href="http'):
        assert outside not in answer.text


def test_a_profile_tells_only_what_settings_allow_and_the_customer_agreed_to(
    service: Service,
) -> None:
    agreed = service.get("/v1/customers/c_0042/profile").json()
    assert agreed["personal_contents_allowed"]
    assert agreed["withheld"] == []
    assert agreed["fields"]["favourite_category"] == "Kitchen"
    assert agreed["fields"]["open_cart"] == [{"product_id": "P003", "quantity": 1}]
    other = service.get(f"/v1/customers/{shop.NO_CONSENT}/profile").json()
    assert set(other["fields"]) == {
        "given_name",
        "family_name",
        "language",
        "country",
        "loyalty_tier",
        "loyalty_points",
    }
    assert "favourite_category" in other["withheld"]
    for answer in (agreed, other):
        assert "email" not in answer["fields"]
    some = service.get("/v1/customers/c_0042/profile", fields="segment, given_name").json()
    assert some["fields"] == {"segment": "loyal", "given_name": "Aoife"}
    assert service.get("/v1/customers/nobody/profile").status_code == 404


def test_preferences_are_what_was_stated_and_not_what_is_inferred(service: Service) -> None:
    stated = service.get("/v1/customers/c_0042/preferences").json()
    assert stated["categories"] == ["Garden", "Kitchen"]
    assert stated["frequency"] == "weekly"
    assert stated["stated_at"] == "2026-05-01T10:00:00Z"
    silent = service.get("/v1/customers/c_0043/preferences").json()
    assert silent["categories"] is None
    assert silent["stated_at"] is None


def test_fields_for_everybody_are_fields_that_mails_show_without_consent() -> None:
    assert set(ServingSettings().profile_fields) <= WITHOUT_CONSENT


IDS = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(["c_0042", "c_0199", shop.RETIRED, shop.GONE, "P009", "P005", "..", "a/b"]),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(IDS, max_size=4),
    st.lists(st.fixed_dictionaries({"product_id": IDS}), max_size=3),
)
NAMES = ["n", "cart", "viewed", "exclude", "category", "max_price", "fields", "other"]


@given(
    path=st.sampled_from(
        [
            "/v1/customers/{}/recommendations",
            "/v1/customers/{}/profile",
            "/v1/customers/{}/preferences",
            "/v1/products/{}/similar",
        ]
    ),
    owner=IDS,
    values=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_the_service_does_not_break(
    service: Service, path: str, owner: str, values: dict[str, Any]
) -> None:
    address = path.format(quote(owner, safe=""))
    got = service.client.get(address, params=flat(values))
    posted = service.client.post(
        address, content=json.dumps(values), headers={"Content-Type": "application/json"}
    )
    for answer in (got, posted):
        assert answer.status_code < 500, answer.text
        assert answer.headers["x-request-id"]
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"


def flat(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Values as a query: lists become repeated parameters."""
    pairs = []
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            text = one if isinstance(one, str) else json.dumps(one)
            pairs.append((name, text.encode("utf-8", "replace").decode()))
    return pairs


def test_the_settings_in_the_documentation_are_those_that_hold_without_any() -> None:
    text = (REPOSITORY / "docs" / "service.md").read_text(encoding="utf-8")
    documented = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])["serving"]
    assert ServingSettings(**documented) == ServingSettings()
    assert set(documented) == set(ServingSettings.model_fields)
