"""What a user may set about places of a list that try something out. The model stays as it is."""

from pydantic import BaseModel


class ExploringSettings(BaseModel):
    """How much of what is shown is there to learn from."""
