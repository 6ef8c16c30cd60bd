"""Delivery: rendered mails become messages (`message.py`); they leave as files (`eml.py`) or SMTP.

A mail is given to a server at most once, whatever is killed when: its send id is on the disk as
`sending` before the server sees it (`journal.py`), and a mail whose fate nobody knows is never
sent again on its own; `pruning.py` takes out what is too old to be sent again. `due.py` says which
mails are due, `sending.py` gives them to the server over a pool of connections, `pace.py` keeps the
rate, `smtp.py` speaks with the server.
"""
