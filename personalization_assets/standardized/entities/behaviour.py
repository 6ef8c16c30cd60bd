"""Reading events of the site, of mails and of social networks."""

from personalization_assets.standardized.entities.people import names
from personalization_assets.standardized.entities.reading import Reading
from personalization_assets.standardized.normalise import labels, text
from personalization_assets.standardized.normalise.digest import md5_of_rows

MACHINE_AGENTS = (
    r"(?i)\b(barracuda|mimecast|proofpoint|symantec|trendmicro|cloudmark|safelinks|fireeye|bot|"
    r"crawler|spider|scanner|preview|headless|python-requests|curl|go-http-client)\b|^mozilla/5\.0$"
)
"""Link scanners, crawlers, and the bare agent that Apple's mail privacy proxy sends."""


def _event_id(reading: Reading, column: str) -> None:
    """The source's own id, else a fingerprint of the row: the same row again is the same event."""
    given = text.identifier(reading.received(column))
    if given.null_count():
        missing = given.is_null()
        fingerprint = md5_of_rows(reading.raw.filter(missing))
        given = given.scatter(missing.arg_true(), fingerprint)
    reading.put(column, given)


def read_web_events(reading: Reading) -> None:
    """What visitors did."""
    _event_id(reading, "event_id")
    at = reading.moment("occurred_at", fatal=True)
    reading.label("event_name", labels.WEB_EVENT)
    reading.identifier("device_id", "session_id", "product_id")
    reading.put("record_id", reading.account())
    reading.whole_number("quantity")
    reading.number("value")
    reading.currency("value", only_with_amount=True)
    reading.into_base({"value_base": "value"}, at)
    reading.text("page_url", "search_term", "traffic_source")
    reading.country(default=False)
    reading.label("device_type", labels.DEVICE)


def read_email_events(reading: Reading) -> None:
    """What became of mails."""
    _event_id(reading, "event_id")
    reading.moment("occurred_at", fatal=True)
    kind = reading.label("event_type", labels.EMAIL_EVENT)
    reading.put("record_id", reading.email())
    reading.identifier("campaign", "send_id", "product_id")
    reading.text("url", "user_agent")
    said = reading.boolean("is_machine")
    by_agent = reading["user_agent"].str.contains(MACHINE_AGENTS).fill_null(value=False)
    reading.put("is_machine", said.zip_with(said.is_not_null(), by_agent))
    bounce = labels.label(text.clean(reading.received("bounce_type")), labels.BOUNCE)
    bounced = (kind == "bounce").fill_null(value=False)
    bounce = reading.put("bounce_type", bounce.set(~bounced, None))
    reading.flag("bounce_type.missing", bounced & bounce.is_null())


def read_social_activity(reading: Reading) -> None:
    """What people did in social networks."""
    _event_id(reading, "activity_id")
    reading.moment("occurred_at", fatal=True)
    network = reading.label("network", {})
    handle = text.identifier(reading.received("handle")).str.to_lowercase().str.strip_prefix("@")
    reading.put("handle", handle)
    reading.put("record_id", network + ":" + handle)
    # The parts of the name are not columns of this table.
    reading.name("given_name", "family_name", "full_name")
    names(reading)
    reading.drop("given_name")
    reading.drop("family_name")
    reading.persons_email()
    reading.label("activity_type", labels.ACTIVITY)
    reading.identifier("product_id")
    category = text.clean(reading.received("category"))
    reading.put("category", labels.one_spelling(category, reading.lookups.spellings))
    reading.put("text", text.tidy(reading.received("text")))
