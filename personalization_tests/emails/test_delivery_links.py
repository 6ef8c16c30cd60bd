"""Signed links: the same as ever, in whole batches, and over a change of the secret."""

from pathlib import Path

import pytest

from personalization_assets.emails.links import SECRET_VARIABLE, Signer, load_signer
from personalization_assets.errors import UserError

OLD, NEW = b"0123456789abcdef", b"fedcba9876543210"
URL = "https://shop.example.com/mail/preferences"


def test_a_link_of_last_year_is_what_is_signed_today() -> None:
    assert Signer(OLD).link(URL, m="a" * 32, a="unsubscribe") == (
        f"{URL}?m={'a' * 32}&a=unsubscribe&k=a9c755f5&s=EPEpUVDru7avSlO-yzu4mOXCg9gYPequzm3AcFNePJI"
    )


@pytest.mark.parametrize("url", [URL, URL + "?shop=1"])
@pytest.mark.parametrize("query", [{}, {"a": "unsubscribe & ü"}])
def test_links_of_a_batch_are_those_signed_one_by_one(url: str, query: dict[str, str]) -> None:
    signer, ids = Signer(OLD), [f"{n:032x}" for n in range(50)]
    links = signer.links(url, ids, **query)
    assert links == [signer.link(url, m=i, **query) for i in ids]
    assert all(signer.verify(link) for link in links)


def test_mails_that_are_out_keep_working_when_the_secret_changes() -> None:
    old, new, both = Signer(OLD), Signer(NEW), Signer(NEW, OLD)
    link = old.link(URL, m="1")
    assert both.link(URL, m="1") == new.link(URL, m="1")
    assert both.verify(link)
    assert not new.verify(link)
    assert not both.verify(link.replace("m=1", "m=2"))
    # The key id of another secret does not help.
    assert not both.verify(link.replace(old.key_id, new.key_id))
    for strange in ("", "&s=", "k=&s=", link + "ü", f"{URL}?k={old.key_id}&s=ü"):
        assert not both.verify(strange)


def test_secrets_come_from_the_variable_or_from_lines_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Signer(OLD).link(URL, m="1")
    file = tmp_path / "link_key"
    file.write_bytes(NEW + b"\n" + OLD + b"\n")
    assert load_signer(file).verify(link)
    assert load_signer(file).key_id == Signer(NEW).key_id
    monkeypatch.setenv(SECRET_VARIABLE, f"{NEW.decode()}, {OLD.decode()}")
    assert load_signer(tmp_path / "unused").verify(link)
    assert not (tmp_path / "unused").exists()
    monkeypatch.setenv(SECRET_VARIABLE, f"{NEW.decode()},short")
    with pytest.raises(UserError, match="shorter than 16 characters"):
        load_signer(file)
