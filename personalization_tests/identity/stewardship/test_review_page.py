"""The review page: open to one person, and what is decided there binds the next run."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import httpx
import uvicorn

from personalization_assets.identity.stewardship.decision_log import standing
from personalization_assets.identity.stewardship.review_app import Desk, review_app
from personalization_assets.identity.stewardship.review_queue import Queue, read_queue
from personalization_assets.warehouse import reading
from personalization_tests.identity.stewardship.conftest import Shop


def desk_of(shop: Shop) -> Desk:
    def read() -> Queue:
        with reading(shop.settings.warehouse_file) as con:
            return read_queue(con, shop.settings.identity, 100)

    return Desk(shop.settings, read, read(), "steward")


@contextmanager
def served(desk: Desk) -> Iterator[httpx.Client]:
    """A browser without the token, on a server of this test's own."""
    config = uvicorn.Config(review_app(desk), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(base_url=address, follow_redirects=True) as browser:
                yield browser
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def opened(desk: Desk) -> Iterator[httpx.Client]:
    """A browser that opened the page with its token."""
    with served(desk) as browser:
        assert browser.get("/", params={"token": desk.token}).status_code == 200
        yield browser


def test_nobody_gets_in_without_the_token_or_under_another_name(shop: Shop) -> None:
    desk = desk_of(shop)
    item = desk.queue.items[0].item_id
    with served(desk) as stranger:
        for path in ("/", f"/item/{item}", "/decisions", "/?token=guess"):
            refused = stranger.get(path)
            assert refused.status_code == 403
            assert "Roth" not in refused.text
        query = {"token": desk.token}
        rebound = stranger.get("/", params=query, headers={"Host": "shop.example"})
        assert rebound.status_code == 400
        entered = stranger.get("/", params=query, follow_redirects=False)
        assert entered.headers["location"] == "/"
        assert "httponly" in entered.headers["set-cookie"].lower()


def test_a_form_from_elsewhere_decides_nothing(shop: Shop) -> None:
    desk = desk_of(shop)
    with opened(desk) as client:
        path = f"/item/{desk.queue.items[0].item_id}"
        form = {"verdict": "same", "author": "mallory"}
        assert client.post(path, data=form).status_code == 403
        assert client.post(path, data=form | {"csrf": "guess"}).status_code == 403
        true = form | {"csrf": desk.csrf}
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert client.post(path, data=true, headers=elsewhere).status_code == 403
        assert client.post(path, data=true | {"reason": "x" * 20_000}).status_code == 403
        assert not desk.decisions.exists()


def test_deciding_goes_to_the_next_item_and_can_be_withdrawn(shop: Shop) -> None:
    desk = desk_of(shop)
    with opened(desk) as client:
        item = next(i for i in desk.queue.items if "roth" in str(i.pair))
        page = client.get(f"/item/{item.item_id}")
        assert "roth@mail.example" in page.text
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
        form = {
            "csrf": csrf,
            "verdict": "different",
            "author": "eve",
            "reason": "<b>his</b>, not hers",
        }
        after = client.post(f"/item/{item.item_id}", data=form)
        assert after.status_code == 200
        assert after.url.path != f"/item/{item.item_id}"
        made = standing(desk.decisions)[item.pair]
        assert (made["verdict"], made["author"]) == ("different", "eve")
        assert made["decision_id"] in after.text

        again = client.get(f"/item/{item.item_id}").text
        assert "&lt;b&gt;his&lt;/b&gt;" in again
        assert "Withdraw" in again
        gone = {"csrf": csrf, "decision": made["decision_id"], "item": item.item_id}
        assert client.post("/withdraw", data=gone).url.path == f"/item/{item.item_id}"
        assert not standing(desk.decisions)
        assert "withdrawn" in client.get("/decisions").text
        twice = client.post("/withdraw", data=gone)
        assert twice.status_code == 409
        assert "withdrawn before" in twice.text


def test_a_page_runs_no_script_but_its_own_and_is_not_kept(shop: Shop) -> None:
    with opened(desk_of(shop)) as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        nonce = re.findall(r"script-src 'nonce-([^']+)'", policy)[0]
        assert "default-src 'none'" in policy
        assert page.text.count("<script") == page.text.count(f'<script nonce="{nonce}"') == 1
        assert 'style="' not in page.text
        assert page.headers["cache-control"] == "no-store"
        # Without a referrer a browser sends `Origin: null` with our own forms, which we refuse.
        assert '<meta name="referrer" content="same-origin">' in page.text
        assert client.get("/").headers["content-security-policy"] != policy


def test_the_queue_starts_with_what_is_worth_most_and_can_be_filtered(shop: Shop) -> None:
    queue = desk_of(shop).queue
    last = queue.items[-1]
    with duckdb.connect(str(shop.settings.warehouse_file)) as con:
        con.execute("CREATE SCHEMA profiles")
        con.execute(
            "CREATE TABLE profiles.golden_profiles AS SELECT customer_id, 3::BIGINT AS orders "
            "FROM identity.links WHERE customer_id IN (?, ?) GROUP BY ALL",
            [last.left.customer_id, last.right.customer_id],
        )
    desk = desk_of(shop)
    assert desk.queue.items[0].item_id == last.item_id
    assert desk.queue.items[0].left.orders == 3
    reason = desk.queue.items[0].reason
    with opened(desk) as client:
        shown = client.get("/", params={"reason": reason}).text
    assert shown.count("<li>") == desk.queue.by_reason[reason]


def test_a_run_may_write_meanwhile_and_the_page_says_so(shop: Shop) -> None:
    desk = desk_of(shop)
    with opened(desk) as client:
        assert "Read it again" not in client.get("/").text
        shop.run("decide", "crm/eva", "crm/paul", "same")
        shop.relink("2026-11-02")
        assert "Read it again" in client.get("/").text
        assert client.post("/reload", data={"csrf": desk.csrf}).status_code == 200
        assert "Read it again" not in client.get("/").text
        assert ("crm", "eva") not in {key for i in desk.queue.items for key in i.pair}


def test_the_list_and_the_exported_page_leave_out_what_is_decided(shop: Shop) -> None:
    page = shop.folder / "queue.html"
    before = shop.run("review", "--list").output
    items = desk_of(shop).queue.items
    assert before.count("q_") == len(items) > 1
    item = items[0]
    shop.run("decide", *("/".join(key) for key in item.pair), "different")
    after = shop.run("review", "--list", "--export", str(page)).output
    assert item.item_id not in after
    assert "Decided since the last run: 1." in after
    text = page.read_text(encoding="utf-8")
    assert "<form" not in text
    assert text.count('<section class="card">') == before.count("q_") - 1


def test_the_command_serves_the_page_on_this_computer_only(shop: Shop) -> None:
    command = [sys.executable, "-u", "-m", "personalization_assets.cli", "identity", "review"]
    server = subprocess.Popen(
        [*command, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout
    try:
        said = [server.stdout.readline() for _ in range(3)]
        address = re.findall(r"http://127\.0\.0\.1:\d+/\?token=\S+", said[1])[0]
        with httpx.Client(follow_redirects=True) as browser:
            assert "Are these the same person?" in browser.get(address).text
        assert httpx.get(address.split("?")[0]).status_code == 403
    finally:
        server.terminate()
        rest = server.communicate(timeout=10)[0]
    assert "Traceback" not in rest
