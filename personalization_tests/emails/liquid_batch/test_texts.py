"""Texts of a batch: any number, of any length, some missing, whatever room was expected."""

from hypothesis import given
from hypothesis import strategies as st

from personalization_assets.emails.liquid_batch.texts import SMALLEST, Texts

LONG = st.integers(0, 3).map(lambda times: "é<漢字>" * (times * SMALLEST // 10))


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])) | LONG, max_size=40))
def test_texts_come_out_as_they_went_in(given_texts: list[str | None]) -> None:
    for room in (0, 3 * SMALLEST):
        texts = Texts(room)
        for text in given_texts:
            texts.append(None if text is None else text.encode())
        made = texts.array()
        made.validate(full=True)
        assert made.to_pylist() == given_texts
        assert texts.size == sum(len((text or "").encode()) for text in given_texts)
