"""What a campaign's mails look like, before anybody gets one: scenarios, branches, a page.

What belongs here: made-up contexts that fit the contract of mails (`values.py`, `scenarios.py`,
`directed.py`), which branches of a campaign's templates they and real customers reach
(`branches.py`, `coverage.py`), and the page that shows the mails (`mails.py`, `page.py`).
What does not: rendering. Every mail shown comes from `render.MailRenderer`, as in a run.
"""
