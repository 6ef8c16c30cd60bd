"""Lists of mailboxes that are no person's, and what the user's files change in them."""

from pathlib import Path

import pytest

from personalization_assets.errors import UserError
from personalization_assets.mailboxes import (
    ROLE_ACCOUNTS,
    load_mailboxes,
    packaged_mailboxes,
    read_role_accounts,
)


def test_the_shop_adds_role_accounts_and_takes_some_out(tmp_path: Path) -> None:
    file = tmp_path / "role_accounts.csv"
    packaged = read_role_accounts(file)
    assert {"info", "sales", "postmaster", "abuse", "noreply"} <= set(packaged)
    assert packaged == sorted(set(ROLE_ACCOUNTS.read_text().split()) - {"name"})
    file.write_text("name,role\nLadenteam,yes\nteam,no\nwerkstatt,\n")
    changed = read_role_accounts(file)
    assert set(changed) - set(packaged) == {"ladenteam", "werkstatt"}
    assert set(packaged) - set(changed) == {"team"}
    file.write_text("name,role\ninfo@shop.example,yes\n")
    with pytest.raises(UserError, match="line 2: write the name before the @"):
        read_role_accounts(file)


def test_the_shop_adds_disposable_domains_and_takes_some_out(tmp_path: Path) -> None:
    packaged = packaged_mailboxes()
    assert {"mailinator.com", "yopmail.com"} <= packaged.disposable
    assert not {"gmail.com", "web.de", "outlook.com", "example.com"} & packaged.disposable
    assert load_mailboxes(tmp_path) == packaged
    file = tmp_path / "disposable_domains.csv"
    file.write_text("domain,disposable\nBurner.example,yes\nmailinator.com,no\n")
    changed = load_mailboxes(tmp_path).disposable
    assert changed ^ packaged.disposable == {"burner.example", "mailinator.com"}
    file.write_text("domain\nsomebody@x.example\n")
    with pytest.raises(UserError, match="line 2: write the domain after the @") as error:
        load_mailboxes(tmp_path)
    assert "somebody" not in str(error.value)
