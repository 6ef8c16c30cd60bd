"""Delivery: rendered mails become messages (`message.py`), and messages leave by SMTP.

A mail is given to a server at most once, whatever is killed when: its send id is on the disk as
`sending` before the server sees it (`journal.py`), and a mail whose fate nobody knows is never
sent again on its own. `smtp.py` speaks with the server, `sending.py` decides what goes out when.
"""
