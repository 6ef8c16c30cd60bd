"""What a marketer reads about a body that is not MJML: the place, and what to write."""

from pathlib import Path

import pytest

from personalization_tests.emails.checked import BODY, FRAGMENT, MJ_LINE, findings

WHOLE = BODY % "Hello"


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("", 1, "the body is empty"),
        (" \n\n", 1, "the body is empty"),
        ("\n<html><body>Hello</body></html>", 2, "does not begin with <mjml>; begin with <mjml>"),
        (MJ_LINE % "\n<mj-text>Hello", 6, "this <mj-text> has no </mj-text>; close it"),
        (WHOLE.replace("</mj-table>", ""), 5, "this <mj-table> has no </mj-table>"),
        (MJ_LINE % "\n</mj-text>", 6, "this </mj-text> closes nothing"),
        (MJ_LINE % "\n<mj-text\n align=center>Hello</mj-text>", 6, "attributes of <mj-text> can't"),
        (MJ_LINE % "\n<mj-text align=“center”>a</mj-text>", 6, "has typographic quotation marks"),
        (BODY % "\n<p>Hello <b>you</p>", FRAGMENT + 1, "this <b> has no </b>"),
        (BODY % "\n<p>Hello</b></p>", FRAGMENT + 1, "this </b> closes nothing"),
        (
            BODY % "\n<td nowrap width=10>Hello</td>",
            FRAGMENT + 1,
            "the attributes of <td> can't be read",
        ),
        (BODY % "\nfor < 10 {{ brand.currency }}", FRAGMENT + 1, "a '<' that begins no tag"),
        (
            MJ_LINE % '\n<mj-text font\u00a0size="1px">a</mj-text>',
            6,
            "attributes of <mj-text> can't",
        ),
        (MJ_LINE % "\n<!-- one\n -- two -->", 7, "there is '--' inside of a comment"),
    ],
)
def test_a_body_that_is_not_mjml_is_told_in_plain_words_at_its_place(
    tmp_path: Path, body: str, line: int, says: str
) -> None:
    found = [f for f in findings(tmp_path, {"body.mjml": body}) if f.code == "mjml_invalid"]
    assert [(f.file.name, f.line) for f in found] == [("body.mjml", line)]
    assert says in found[0].says
    assert "template" not in found[0].says


def test_where_only_the_library_knows_its_place_counts_letters_and_not_bytes(
    tmp_path: Path,
) -> None:
    body = WHOLE.replace("  <mj-body>", f"  <mj-body>{'é' * 40}\n\n<?x ?>" + "\n" * 60)
    [finding] = [f for f in findings(tmp_path, {"body.mjml": body}) if f.severity == "error"]
    assert (finding.code, finding.line) == ("mjml_invalid", 6)


@pytest.mark.parametrize(
    "tag",
    [
        "<mj-include path=part.mjml />",
        '<mj-include path="part.mjml" type="css" />',
        '<mj-include path="part.mjml" /> <mj-include path="part.mjml" />',
    ],
)
def test_an_include_that_cannot_be_read_is_told(tmp_path: Path, tag: str) -> None:
    files = {"body.mjml": BODY % f"\n{tag}", "../_blocks/part.mjml": "Hello"}
    [finding] = findings(tmp_path, files)
    assert (finding.code, finding.line) == ("include_form", FRAGMENT + 1)
    assert 'write <mj-include path="name.mjml" />' in finding.says


@pytest.mark.parametrize(
    "tag", ["<mj-include path='part.mjml'/>", '<mj-include path = "part.mjml"></mj-include>']
)
def test_an_include_may_be_written_in_several_ways(tmp_path: Path, tag: str) -> None:
    files = {"body.mjml": BODY % tag, "../_blocks/part.mjml": "{{ customer.citty }}"}
    [finding] = findings(tmp_path, files)
    assert (finding.code, finding.file.name) == ("variable_unknown", "part.mjml")


def test_a_part_in_mjml_is_not_rendered_but_included(tmp_path: Path) -> None:
    files = {
        "text.liquid": "{{ links.unsubscribe }}{% render 'part' %}",
        "../_blocks/part.mjml": "",
    }
    [finding] = findings(tmp_path, files)
    assert finding.says.endswith('part.mjml is MJML, write <mj-include path="part.mjml" />.')
