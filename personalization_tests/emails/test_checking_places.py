"""Which file and line a finding names: bodies in HTML, shared parts, files that can't be read."""

from pathlib import Path

import pytest

from personalization_assets.emails.checking.sources import read_source
from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails.checked import (
    FILES,
    HTML,
    MJ_LINE,
    findings,
    in_body,
    in_html,
    look,
    places,
    write_campaign,
)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (HTML.replace(' lang="en"', "") % "a", ("html_lang", 2)),
        (HTML % '<a href="x.example">a</a>', ("link_scheme", 3)),
        (HTML % '<link rel="stylesheet" href="https://x.example/a.css">', ("external_css", 3)),
        (HTML % "\n<style>@import url(https://x.example/a.css);</style>", ("external_css", 4)),
        (HTML % "<div>\n<table><tr></table></div>", ("html_unbalanced", 4)),
        (HTML % "\n<table><tr>", ("html_unbalanced", 4)),
        (HTML % "<div>\n{% if mail.year %}</div>{% endif %}", ("html_unbalanced", 3)),
        (
            HTML % "<div>{% if mail.year %}</div>{% else %}</div></div>{% endif %}",
            ("html_unbalanced", 3),
        ),
        (HTML % "<i>a</i></td>", ("html_unbalanced", 3)),
        (HTML.replace("links.unsubscribe", "links.home") % "a", ("unsubscribe_missing", 1)),
    ],
)
def test_a_body_may_be_html_and_is_checked_alike(
    tmp_path: Path, html: str, expected: tuple[str, int]
) -> None:
    found = findings(tmp_path, in_html("") | {"body.html": html})
    assert expected in {(f.code, f.line) for f in found}


def test_what_an_included_part_does_is_told_with_its_own_file_and_line(tmp_path: Path) -> None:
    part = "<mj-text>\n  <a href='#'>a</a>\n {{ customer.citty }}</mj-text>"
    files = {
        "body.mjml": MJ_LINE % '\n    <mj-include path="part.mjml" />\n<mj-button>a</mj-button>',
        "../_blocks/part.mjml": part,
    }
    found = findings(tmp_path, files)
    assert {(f.code, f.file.name, f.line, f.column) for f in found} == {
        ("link_empty", "part.mjml", 2, 3),
        ("variable_unknown", "part.mjml", 3, 5),
        ("button_link", "body.mjml", 7, 1),
    }


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    write_campaign(tmp_path)
    (tmp_path / "mine" / "text.liquid").write_bytes("Hello\nGrüße".encode("cp1252"))
    (tmp_path / "mine" / "subject.liquid").write_bytes("Hello".encode("utf-16-le"))
    circle = '<mj-include path="a.mjml" />'
    files = {"body.mjml": MJ_LINE % f"\n{circle}", "../_blocks/a.mjml": f"\n{circle}"}
    for name, text in files.items():
        (tmp_path / "mine" / name).write_text(text)
    assert places(look(tmp_path)) == {
        ("file_encoding", "text.liquid", 2),
        ("file_encoding", "subject.liquid", 1),
        ("include_circle", "a.mjml", 2),
    }


def test_what_windows_programs_leave_in_files_changes_no_mail(tmp_path: Path) -> None:
    assert findings(tmp_path) == ()
    for path in (tmp_path / "mine").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert look(tmp_path) == ()
    source = read_source(tmp_path / "mine" / "text.liquid", tmp_path / "_blocks")
    assert source.text == FILES["text.liquid"]


def test_where_a_line_cannot_be_known_the_finding_stays(tmp_path: Path) -> None:
    found = findings(tmp_path, in_body('<b title="<tr>">a</b><a href="#">a</a>'))
    assert places(found) == {("link_empty", "body.mjml", 1)}


def test_the_limit_of_size_is_a_setting(tmp_path: Path) -> None:
    found = findings(tmp_path, settings=EmailsSettings(clip_bytes=2048))
    assert ("size_clip", "body.mjml", 1) in places(found)
