"""The two services in their own formats: verdicts, trouble of every kind, and what it costs."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from personalization_assets.standardized.verification.neverbounce import NeverBounce
from personalization_assets.standardized.verification.settings import VerificationSettings
from personalization_assets.standardized.verification.verdicts import (
    Answer,
    LostError,
    StoppedError,
    UnavailableError,
    Verifier,
    WorkingError,
)
from personalization_assets.standardized.verification.zerobounce import ZeroBounce
from personalization_tests.standardized.verification_servers import (
    DROP,
    KEY,
    LOSE,
    NeverBounceService,
    Service,
    Trouble,
    ZeroBounceService,
    running,
)

A, B, C = "a+x@shop.example", "b@shop.example", "c@shop.example"


class Noted:
    """What a verifier asked to be noted."""

    def __init__(self) -> None:
        self.tickets: list[str] = []
        self.charges = 0

    def ticket(self, ticket: str) -> None:
        self.tickets.append(ticket)

    def charged_again(self) -> None:
        self.charges += 1


@pytest.fixture
def zero() -> Iterator[ZeroBounceService]:
    service = ZeroBounceService({A: ("valid", ""), B: ("invalid", "mailbox_not_found")})
    with running(service, "v2"):
        yield service


@pytest.fixture
def never() -> Iterator[NeverBounceService]:
    service = NeverBounceService({A: ("valid", ["has_dns"]), B: ("invalid", [])})
    with running(service, "v4.2"):
        yield service


def verifier(service: Service, key: str = KEY, **changes: Any) -> Verifier:
    kind = ZeroBounce if isinstance(service, ZeroBounceService) else NeverBounce
    values = {"base_url": service.address, "backoff_seconds": 0.01, "attempts": 3, **changes}
    return kind(key, VerificationSettings(**values))


EXPECTED = [Answer(A, "deliverable", "valid"), Answer(B, "undeliverable", "mailbox_not_found")]


@pytest.mark.parametrize(
    ("status", "sub_status", "verdict", "reason"),
    [
        ("valid", "", "deliverable", "valid"),
        ("valid", "alias_address", "deliverable", "alias_address"),
        ("invalid", "no_dns_entries", "undeliverable", "no_dns_entries"),
        ("invalid", "mailbox_quota_exceeded", "risky", "mailbox_quota_exceeded"),
        ("catch-all", "", "risky", "catch-all"),
        ("unknown", "greylisted", "unknown", "greylisted"),
        ("spamtrap", "", "undeliverable", "spamtrap"),
        ("abuse", "", "risky", "abuse"),
        ("do_not_mail", "toxic", "risky", "toxic"),
        ("something_new", "", "unknown", "something_new"),
    ],
)
def test_zerobounces_words(
    zero: ZeroBounceService, status: str, sub_status: str, verdict: str, reason: str
) -> None:
    zero.verdicts = {A: (status, sub_status)}
    [answer] = verifier(zero).verify("1", [A], Noted())
    assert (answer.email, answer.verdict, answer.reason) == (A, verdict, reason)


@pytest.mark.parametrize(
    ("result", "flags", "verdict", "reason"),
    [
        ("valid", ["has_dns", "smtp_connectable"], "deliverable", "valid"),
        ("invalid", ["bad_dns"], "undeliverable", "invalid"),
        ("disposable", ["disposable_email"], "risky", "disposable"),
        ("catchall", ["accepts_all"], "risky", "catchall"),
        ("unknown", [], "unknown", "unknown"),
        ("valid", ["spamtrap_network"], "risky", "spamtrap_network"),
        ("something_new", [], "unknown", "something_new"),
    ],
)
def test_neverbounces_words(
    never: NeverBounceService, result: str, flags: list[str], verdict: str, reason: str
) -> None:
    never.verdicts = {A: (result, flags)}
    noted = Noted()
    [answer] = verifier(never).verify("1", [A], noted)
    assert (answer.email, answer.verdict, answer.reason) == (A, verdict, reason)
    assert noted.tickets == ["150970"]


def test_neverbounces_results_are_read_page_by_page(never: NeverBounceService) -> None:
    never.page = 1
    answers = verifier(never).verify("1", [A, B, C], Noted())
    assert [a.email for a in answers] == [A, B]  # C has no answer
    assert [body["page"] for path, body in never.requests if path.endswith("results")] == [1, 2]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(429),
        Trouble(503, "<html>maintenance</html>"),
        Trouble(403),
        Trouble(200, "<html>"),
        DROP,
    ],
)
def test_passing_trouble_is_tried_again(zero: ZeroBounceService, trouble: Trouble | str) -> None:
    zero.next = [trouble, trouble]
    assert verifier(zero).verify("1", [A, B], Noted()) == EXPECTED
    zero.next = [trouble, trouble, trouble]
    with pytest.raises(UnavailableError, match="ZeroBounce"):
        verifier(zero).verify("1", [A, B], Noted())


@pytest.mark.parametrize("status", ["throttle_triggered", "temp_unavail"])
def test_neverbounces_passing_trouble_comes_with_http_200(
    never: NeverBounceService, status: str
) -> None:
    trouble = Trouble(200, {"status": status, "message": "later", "execution_time": 1})
    never.next = [trouble, Trouble(200, {"status": "success", "results": []})]
    answers = verifier(never).verify("1", [A, B], Noted())
    assert [a.verdict for a in answers] == ["deliverable", "undeliverable"]
    never.next = [trouble, Trouble(200, {"status": "success", "results": []})] * 3
    with pytest.raises(UnavailableError, match=status):
        verifier(never).verify("2", [A], Noted())


def test_the_service_says_how_long_to_wait(
    zero: ZeroBounceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    zero.next = [Trouble(429, headers={"retry-after": "7"}), Trouble(503)]
    verifier(zero, backoff_seconds=2).verify("1", [A], Noted())
    assert waits == [7.0, 4.0]
    # More than we wait: the next run tries again.
    zero.next = [Trouble(429, headers={"retry-after": "3600"})]
    with pytest.raises(UnavailableError, match="slow down"):
        verifier(zero).verify("1", [A], Noted())
    assert len(waits) == 2
    zero.next = [Trouble(429, headers={"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"})]
    verifier(zero).verify("1", [A], Noted())
    assert waits[2:] == [0.0]


@pytest.mark.parametrize("status", ["bad_referrer", "general_failure"])
def test_lasting_trouble_of_neverbounce_is_not_tried_again(
    never: NeverBounceService, status: str
) -> None:
    never.next = [Trouble(200, {"status": status, "message": f"{A} {KEY}"})]
    with pytest.raises(StoppedError) as error:
        verifier(never).verify("1", [A], Noted())
    assert len(never.requests) == 1
    assert A not in str(error.value)


def test_a_wrong_key_is_said_and_not_shown(
    zero: ZeroBounceService, never: NeverBounceService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for service in (zero, never):
        with pytest.raises(StoppedError, match=r"PERSONALIZE_\w+_KEY") as error:
            verifier(service, key="secret_wrong").verify("1", [A], Noted())
        assert len(service.requests) == 1
        assert "secret_wrong" not in repr(error.value)
        assert error.value.__cause__ is None
        assert not any("secret_wrong" in url or A in url for url in service.urls)
    assert "secret_wrong" not in caplog.text
    assert A not in caplog.text


def test_an_http_error_of_the_client_stops_at_once(zero: ZeroBounceService) -> None:
    zero.next = [Trouble(404)]
    with pytest.raises(StoppedError, match=r"refused the request \(404\)"):
        verifier(zero).verify("1", [A], Noted())
    assert len(zero.requests) == 1


def test_a_service_that_is_not_there(zero: ZeroBounceService) -> None:
    away = verifier(zero, base_url="http://127.0.0.1:9/v2", attempts=1)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        away.verify("1", [A], Noted())


def test_a_batch_that_may_have_arrived_counts_twice_at_zerobounce(zero: ZeroBounceService) -> None:
    noted = Noted()
    zero.next = [LOSE]
    assert verifier(zero).verify("1", [A, B], noted) == EXPECTED
    assert noted.charges == 1
    assert zero.charged == [A, B, A, B]
    zero.next = [Trouble(429)]
    verifier(zero).verify("1", [A, B], noted)
    assert noted.charges == 1  # turned away at the door


def test_a_job_whose_number_was_lost_is_found_and_not_paid_twice(never: NeverBounceService) -> None:
    never.next = [LOSE]
    answers = verifier(never).verify("20261020T000000-0001", [A, B], Noted())
    assert len(answers) == 2
    assert never.charged == [A, B]
    # A request that never arrived is sent again.
    never.next = [DROP]
    verifier(never).verify("20261020T000000-0002", [A], Noted())
    assert never.charged == [A, B, A]


def test_a_job_that_takes_longer_is_collected_later(never: NeverBounceService) -> None:
    never.polls_until_done = 1
    noted = Noted()
    with pytest.raises(WorkingError):
        verifier(never, wait_seconds=0).verify("1", [A, B], noted)
    [ticket] = noted.tickets
    again = verifier(never)
    assert again.resume("1", ticket) == again.resume("1", None)  # by number, or by name
    assert again.resume("another", None) is None
    never.job_status = "failed"
    with pytest.raises(LostError):
        again.resume("1", ticket)
    assert never.charged == [A, B]


@pytest.mark.parametrize(
    "url", ["http://api.zerobounce.net/v2", "http://localhost.evil.example/v2"]
)
def test_a_key_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ValidationError, match="must begin with https://"):
        VerificationSettings(base_url=url)
