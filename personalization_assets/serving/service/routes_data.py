"""The addresses that answer with data."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from personalization_assets.serving.service import choosing
from personalization_assets.serving.service.access import Access
from personalization_assets.serving.service.choosing import Asked, Choice
from personalization_assets.serving.service.ladder import Found, Ladder
from personalization_assets.serving.service.loading import PREFERENCES
from personalization_assets.serving.service.problems import MEDIA_TYPE, PROBLEM, ProblemError
from personalization_assets.serving.service.publication import Publication
from personalization_assets.serving.service.schemas import (
    MOST_PRODUCTS,
    CartLine,
    Context,
    Item,
    Preferences,
    ProductId,
    ProductIds,
    Profile,
    Recommendations,
    Similar,
)
from personalization_assets.serving.service.store import Store
from personalization_assets.settings import Settings

CustomerId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="The customer's id; one that was merged into another still answers",
        examples=["c_5f0c3a9be1d24c77"],
    ),
]
N = Annotated[int, Query(ge=1, le=MOST_PRODUCTS, description="Products wanted")]


def errors(**details: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about errors, by `_<status>`; those that every endpoint may give added."""
    common = {
        "_401": "No key, or one that is unknown, revoked or expired",
        "_403": "The key has not the scope",
        "_422": "A parameter or the body is not valid",
        "_429": "The key's limit is used up; `Retry-After` says for how long",
        "_503": "There is no publication, or no key was made yet",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}
    return {
        int(status[1:]): {"description": words, "content": content}
        for status, words in sorted({**common, **details}.items())
    }


def data_routes(settings: Settings, store: Store, ladder: Ladder, access: Access) -> APIRouter:
    """Routes over the store's current publication."""
    router = APIRouter(prefix="/v1")
    serving = settings.serving
    everybody, personal = serving.profile_fields, serving.personal_profile_fields

    def current() -> Publication:
        if store.current is None:
            why = store.refused.sentence if store.refused else "The publication is being read."
            raise ProblemError(503, why, {"Retry-After": "5"})
        return store.current

    def known(publication: Publication, asked_for: str) -> tuple[str, int]:
        customer_id, place = publication.find(asked_for)
        if place < 0:
            raise ProblemError(404, "There is no such customer in the publication.")
        return customer_id, place

    async def recommend(request: Request, asked_for: str, context: Context) -> Recommendations:
        publication = current()
        customer_id, place = publication.find(asked_for)
        if place < 0 and serving.unknown_customers == "not_found":
            raise ProblemError(404, "There is no such customer in the publication.")
        asked = Asked(
            place,
            context.n,
            choosing.codes_of(publication, [line.product_id for line in context.cart]),
            choosing.codes_of(publication, context.viewed),
            choosing.codes_of(publication, context.exclude),
            context.category,
            context.max_price,
        )
        found = await ladder.recommend(publication, asked)
        request.state.note.fields |= _noted(found)
        return Recommendations(
            customer_id=customer_id,
            known=place >= 0,
            served_by=found.served_by,
            fallback=found.fallback,
            currency=settings.base_currency,
            items=_items(publication, customer_id, found.choices),
            **_about(publication, request),
        )

    @router.get(
        "/customers/{customer_id}/recommendations",
        tags=["recommendations"],
        summary="Products for a customer",
        description="The published list, or scored anew where the context says more than it can "
        "know. A known customer always gets a list. Scope: `recommendations`.",
        dependencies=[Depends(access.scope("recommendations"))],
        responses=errors(_404="Unknown customer, where the setting unknown_customers says so"),
    )
    async def recommendations(
        request: Request,
        customer_id: CustomerId,
        n: N = 8,
        cart: Annotated[
            ProductIds, Query(description="What lies in the cart; may be repeated")
        ] = [],  # noqa: B006
        viewed: Annotated[ProductIds, Query(description="Just viewed; may be repeated")] = [],  # noqa: B006
        exclude: Annotated[ProductIds, Query(description="Not to recommend; may be repeated")] = [],  # noqa: B006
        category: Annotated[
            str | None, Query(max_length=200, description="Only products of this category")
        ] = None,
        max_price: Annotated[
            float | None,
            Query(ge=0, allow_inf_nan=False, description="Only products that cost no more"),
        ] = None,
    ) -> Recommendations:
        context = Context(
            n=n,
            cart=[CartLine(product_id=p) for p in cart],
            viewed=viewed,
            exclude=exclude,
            category=category,
            max_price=max_price,
        )
        return await recommend(request, customer_id, context)

    @router.post(
        "/customers/{customer_id}/recommendations",
        tags=["recommendations"],
        summary="Products for a customer, with what they do now as JSON",
        description="As GET; for carts that are too long for an address. Scope: `recommendations`.",
        dependencies=[Depends(access.scope("recommendations"))],
        responses=errors(
            _404="Unknown customer, where the setting unknown_customers says so",
            _413="The body is too large",
        ),
    )
    async def recommendations_in_context(
        request: Request, customer_id: CustomerId, context: Context
    ) -> Recommendations:
        return await recommend(request, customer_id, context)

    @router.get(
        "/products/{product_id}/similar",
        tags=["recommendations"],
        summary="What goes with a product",
        description="The published list of similar products; best sellers of the category where "
        "there is none. Scope: `recommendations`.",
        dependencies=[Depends(access.scope("recommendations"))],
        responses=errors(_404="Unknown product"),
    )
    async def similar(
        request: Request,
        product_id: Annotated[ProductId, Path(description="The shop's id of the product")],
        n: N = 8,
        exclude: Annotated[ProductIds, Query(description="Not to recommend; may be repeated")] = [],  # noqa: B006
    ) -> Similar:
        publication = current()
        product = publication.products.codes.get(product_id)
        if product is None:
            raise ProblemError(404, "There is no such product in the publication.")
        asked = Asked(-1, n, exclude=(product, *choosing.codes_of(publication, exclude)))
        may = choosing.allowed(publication, asked)
        choices = choosing.alike(publication, product, n, may)
        found = Found(choices, "cached", None)
        if not choices:
            category = publication.products.shown[product].category
            near = may & (publication.products.category == publication.products.category[product])
            best = choosing.popular(publication, n, near, category) if category else []
            best = best or choosing.popular(publication, n, may, None)
            found = Found(best, "popular", "no_list")
        request.state.note.fields |= _noted(found)
        return Similar(
            product_id=product_id,
            served_by=found.served_by,
            currency=settings.base_currency,
            items=_items(publication, product_id, found.choices),
            **_about(publication, request),
        )

    @router.get(
        "/customers/{customer_id}/profile",
        tags=["customers"],
        summary="What may be said about a customer",
        description="Columns of the golden profile that the settings allow. Who did not agree to "
        "personal contents is told about with `profile_fields` only. Scope: `profile`.",
        dependencies=[Depends(access.scope("profile"))],
        responses=errors(_404="Unknown customer"),
    )
    async def profile(
        request: Request,
        customer_id: CustomerId,
        fields: Annotated[
            str | None,
            Query(
                max_length=4_000,
                description="Columns wanted, with commas between them; all that are allowed "
                "without it",
                examples=["given_name,favourite_category"],
            ),
        ] = None,
    ) -> Profile:
        publication = current()
        wanted = _wanted(fields, [*everybody, *personal])
        customer_id, place = known(publication, customer_id)
        agreed = bool(publication.agreed[place])
        shown = [f for f in wanted if agreed or f in everybody]
        values = await run_in_threadpool(publication.profile, place, shown) if shown else {}
        return Profile(
            customer_id=customer_id,
            personal_contents_allowed=agreed,
            fields=values,
            withheld=[f for f in wanted if f not in shown],
            **_about(publication, request),
        )

    @router.get(
        "/customers/{customer_id}/preferences",
        tags=["customers"],
        summary="What a customer stated last",
        description="Statements of the preference centre, never what behaviour suggests. Scope: "
        "`preferences`.",
        dependencies=[Depends(access.scope("preferences"))],
        responses=errors(_404="Unknown customer"),
    )
    async def preferences(request: Request, customer_id: CustomerId) -> Preferences:
        publication = current()
        customer_id, place = known(publication, customer_id)
        values = await run_in_threadpool(publication.profile, place, list(PREFERENCES))
        return Preferences(
            customer_id=customer_id,
            categories=values["stated_categories"],
            frequency=values["frequency"],
            language=values["language"],
            stated_at=values["preferences_stated_at"],
            **_about(publication, request),
        )

    return router


def _wanted(fields: str | None, allowed: Sequence[str]) -> list[str]:
    if fields is None:
        return list(allowed)
    wanted = list(dict.fromkeys(f.strip() for f in fields.split(",") if f.strip()))
    refused = [f for f in wanted if f not in allowed]
    if refused:
        raise ProblemError(
            422,
            f"fields: {refused[0][:100]!r} is not among the fields that may be asked for: "
            f"{', '.join(allowed)}.",
        )
    return wanted


def _about(publication: Publication, request: Request) -> dict[str, Any]:
    return {
        "model_version": publication.model_version,
        "published_at": publication.published_at,
        "request_id": request.state.note.request_id,
    }


def _noted(found: Found) -> dict[str, Any]:
    cause = {"fallback": found.fallback} if found.fallback else {}
    return {"served_by": found.served_by, **cause}


def _items(publication: Publication, owner: str, choices: Sequence[Choice]) -> list[Item]:
    shown = publication.products.shown
    return [
        Item(
            position=i,
            **shown[choice.product]._asdict(),
            score=choice.score,
            source=choice.source,
            reason=choice.reason,
            recommendation_id=publication.recommendation_id(owner, choice.product),
        )
        for i, choice in enumerate(choices, start=1)
    ]
