"""E-mails: who gets which mail and why, the mails themselves, and their hand-over.

What belongs here: campaign folders (`campaigns.py`), compiled and checked templates
(`templates.py`, `liquid_env.py`, `static_check.py`), what a template may use (`mail_context.py`),
the decisions (`audience.py`), rendering over Arrow batches (`render.py`), hand-over
(`handover.py`) and the page that shows mails to people (`gallery.py`).
What does not: choosing products (room `recommendations`), consents and profiles (room
`profiles`), and talking to a mail server.
"""
