"""Where `Source` was before `checking/`."""

from personalization_assets.emails.checking.sources import Source

__all__ = ["Source"]
