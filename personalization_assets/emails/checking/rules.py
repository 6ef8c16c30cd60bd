"""The table of rules: every finding's code, severity, sentence and remedy.

`$name` stands for what a finding says about its place. A warning may be silenced for a campaign
(`allow: [code]` in campaign.yaml); an error may not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Rule:
    """One thing that a campaign must satisfy. `says` is half a sentence, `hint` what to do."""

    severity: Severity
    says: str
    hint: str


def _error(says: str, hint: str) -> Rule:
    return Rule("error", says, hint)


def _warning(says: str, hint: str) -> Rule:
    return Rule("warning", says, hint)


RULES: Mapping[str, Rule] = {
    # --- files ---
    "campaign_file": _error("$problem", ""),
    "file_encoding": _error("this is not UTF-8 text", "save the file as UTF-8"),
    "include_unknown": _error("there is no shared part '$name' in $folder", "$near"),
    "include_form": _error(
        "this <mj-include> can't be read",
        'write <mj-include path="name.mjml" /> on a line of its own',
    ),
    "include_circle": _error("'$name' includes itself", "break the circle"),
    # --- Liquid ---
    "foreign_syntax": _error("'$written' is $dialect", "in Liquid write '$liquid'"),
    "liquid_syntax": _error("this is not valid Liquid: $problem", ""),
    "part_unknown": _error("there is no shared part '$name' in _blocks", "$near"),
    "part_circle": _error("the shared part '$name' renders itself", "break the circle"),
    "variable_unknown": _error("there is no variable '$name'", "$near"),
    "variable_computed": _error(
        "$name takes the name of a field from a variable, which can't be checked", "name the field"
    ),
    "filter_unknown": _error("there is no filter '$name'", "$near"),
    "filter_values": _error(
        "the filter '$name' takes $takes values after its colon, and here are $count",
        "give it as many as it takes, with commas between them",
    ),
    "filter_type": _warning(
        "$value is $kind, of which the filter '$name' makes nothing useful", "use it on $meant"
    ),
    "compare_order": _error(
        "$left is $first and $right is $second, so they can't be compared and no mail comes out",
        "$hint",
    ),
    "compare_same": _warning(
        "$left is $first and $right is $second, so they are never the same", "$hint"
    ),
    "loops_deep": _error(
        "loops lie more than $most deep in each other, and no mail comes out",
        "put an inner loop into a shared part and {% render %} it",
    ),
    "not_a_list": _error("$name is not a list, so {% for %} can't go through it", "name a list"),
    "nullable_printed": _warning(
        "$name may be empty here$reason",
        "give it a default, {{ $name | default: '...' }}, or print it inside {% if $guard %}",
    ),
    # --- MJML and HTML ---
    "mjml_invalid": _error("this is not valid MJML: $problem", "$remedy"),
    "mjml_unknown": _error("there is no element <$tag> in MJML", "$near"),
    "liquid_lost": _error(
        "MJML drops '$written'",
        "write Liquid inside the value of an attribute, or between sections inside <mj-raw>",
    ),
    "liquid_across_elements": _error(
        "a Liquid block opens inside one MJML element and closes in another",
        "put {% if %} and {% endif %} on the same level, between sections inside <mj-raw>",
    ),
    "html_lang": _warning(
        "the mail does not say its language, so screen readers guess it",
        'write <$root lang="en"> with the language of the text',
    ),
    "html_unbalanced": _warning(
        "<$tag> is $what, so some mails get a broken layout",
        "open and close it under the same condition",
    ),
    "html_active": _error(
        "$what does not work in a mail and makes mail programs suspicious", "remove it"
    ),
    "html_form": _warning("<$tag> does not work in most mail programs", "link to a page instead"),
    "external_css": _warning(
        "styles from $host are not loaded by most mail programs, and tell it who reads",
        "write them into <mj-style> or <style>, and give fonts that every computer has",
    ),
    "link_empty": _error('this link leads nowhere (href="$link")', "give it an address"),
    "link_scheme": _error(
        "the link '$link' has no scheme, so mail programs can't open it",
        "write the whole address with https://",
    ),
    "link_script": _error(
        "the link '$link' does not open in a mail", "write the whole address with https://"
    ),
    "link_http": _warning("the link '$link' is not encrypted", "write https:// if the page has it"),
    "link_untagged": _warning(
        "the link '$link' to the shop has no utm tags, so nobody sees what it brings",
        "write {{ '$link' | utm: 'name-of-the-link' }} or use links.home and its kin",
    ),
    "button_link": _warning("this button has no href, so it can't be pressed", "add href"),
    "image_source": _error(
        "the image '$link' has no scheme, so mail programs can't load it",
        "write the whole address with https://",
    ),
    "image_http": _warning(
        "the image '$link' is not encrypted", "write https:// if the page has it"
    ),
    "image_alt": _warning(
        "this image has no alt text, and many people see mails without images",
        'write alt="what it shows", or alt="" if it only decorates',
    ),
    "image_width": _warning(
        "this image has no width, so Outlook shows it in its own size",
        'write width="..." in pixels',
    ),
    # --- what a mail must have ---
    "unsubscribe_missing": _error(
        "the mail has no link to unsubscribe, which the law asks of promotional mail",
        'add <a href="{{ links.unsubscribe }}">',
    ),
    "unsubscribe_conditional": _warning(
        "the link to unsubscribe is inside a condition, so some mails have none",
        "move it out of the condition",
    ),
    "text_unsubscribe": _error(
        "the text part has no link to unsubscribe in every mail", "add {{ links.unsubscribe }}"
    ),
    "address_missing": _error(
        "the mail has no postal address, which the law asks of promotional mail",
        "add {{ brand.postal_address }}",
    ),
    "address_conditional": _warning(
        "the postal address is inside a condition, so some mails have none",
        "move it out of the condition",
    ),
    "text_empty": _error("the text part is empty", "say in it what the mail says"),
    "subject_empty": _error("the subject is empty", "write one"),
    "subject_may_be_empty": _warning(
        "the subject is empty when no condition in it holds", "add an {% else %}"
    ),
    "subject_long": _warning(
        "the subject can have $length characters of its own; mail programs show 40 to 70",
        "stay under 150",
    ),
    "subject_capitals": _warning(
        "'$text' is in capitals, which filters take for spam", "write it in usual case"
    ),
    "subject_exclamation": _warning(
        "the subject can have $count exclamation marks, which filters take for spam",
        "use one at most",
    ),
    "preheader_missing": _warning("$what, so the inbox shows the mail's first words", "$remedy"),
    "size_clip": _error(
        "the mail has about $size KB of HTML, and Gmail cuts mails at $limit KB",
        "show fewer products or shorten the styles that repeat",
    ),
    "size_near_clip": _warning(
        "the mail has about $size KB of HTML, close to the $limit KB at which Gmail cuts",
        "show fewer products or shorten the styles that repeat",
    ),
}
