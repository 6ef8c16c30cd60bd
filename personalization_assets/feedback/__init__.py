"""What came of the mails: which clicks led to which purchases, and how campaigns do.

Belongs here: attribution and performance, read from the mail provider's events and the shop's
orders. It reads `standardized` and `identity` only, never `emails`: mails that were sent before
this platform existed count too, and audiences may build on it without a circle.
"""
