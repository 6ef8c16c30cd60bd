"""E-mail addresses in the form they are delivered to.

The canonical address keeps its dots and plus-tags: it is used for sending. Folding addresses of
one mailbox together is the business of identity.
"""

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_python, settle

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
PLAIN = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9]$"
"""Addresses that need no library: ASCII, no quotes, a domain with a top level."""

MAX_LOCAL = 64
MAX_ADDRESS = 254


def email(values: pl.Series) -> pl.Series:
    """The deliverable address in lower case with an ASCII domain; null when it is none."""
    lowered = values.str.to_lowercase()
    return settle(lowered, _plain, lambda left: _plain(_unwrap(left)), _ascii_domain, _by_library)


def _plain(values: pl.Series) -> pl.Series:
    fits = (
        values.str.contains(PLAIN)
        & (values.str.len_bytes() <= MAX_ADDRESS)
        & (values.str.find("@", literal=True) <= MAX_LOCAL)
    )
    return values.set(~fits.fill_null(value=False), None)


def _unwrap(values: pl.Series) -> pl.Series:
    """What people and exports put around an address: a name and brackets, mailto:, a full stop."""
    bare = values.str.replace(r"^.*<\s*([^<>]+?)\s*>.*$", "$1")
    bare = bare.str.replace(r"^(?:mailto|e-?mail|smtp)\s*:\s*", "").str.replace(r"\?.*$", "")
    bare = bare.str.replace(r"\s*@\s*", "@")
    return bare.str.strip_chars(" '\"<>()[],;:").str.strip_suffix(".")


def _ascii_domain(values: pl.Series) -> pl.Series:
    """Addresses with a domain in another script; there are far fewer domains than addresses."""
    from email_validator import EmailNotValidError, validate_email

    def ascii_domain(domain: str) -> str | None:
        try:
            return validate_email(f"a@{domain}", check_deliverability=False).ascii_domain
        except (EmailNotValidError, UnicodeError):
            return None

    bare = _unwrap(values.str.normalize("NFKC"))
    local = bare.str.extract(r"^([^@]+)@[^@]+$")
    domain = map_python(bare.str.extract(r"^[^@]+@([^@]*[^\x00-\x7F][^@]*)$"), ascii_domain)
    return _plain(local + "@" + domain)


def _by_library(values: pl.Series) -> pl.Series:
    from email_validator import EmailNotValidError, validate_email

    def canonical(text: str) -> str | None:
        try:
            found = validate_email(text, check_deliverability=False, allow_smtputf8=True)
        except (EmailNotValidError, UnicodeError):
            return None
        if len(found.local_part) > MAX_LOCAL:
            return None
        return f"{found.local_part}@{found.ascii_domain}".lower()

    return map_python(_unwrap(values.str.normalize("NFKC")), canonical)
