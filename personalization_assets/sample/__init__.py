"""The sample shop: extracts of an invented outdoor and home shop, and the truth about who is who.

What belongs here: whatever invents people, what they do, and the files that a shop's systems
would export about it. What does not: anything that reads such files. The rest of the
platform knows the sample only through `data/sources.yaml`, as it would know a real shop.

    people.py      who there is: households, names, addresses, mailboxes (all spelled right)
    catalogue.py   the goods, and how likely each taste is to look at them
    behaviour.py   visits, looks, carts, purchases
    mail.py        newsletters and what came back
    spelling.py    how the truth about a person gets misspelled on its way into a form
    records.py     CRM, loyalty programme, preference centre, social media
    shop.py        orders, order lines, products
    web.py         the web log in the shape of GA4's export
    dirt.py        rows that are wrong on purpose, of every kind the contracts name
    write.py       files, whole or not at all
    data/          names, places, goods

`<out>/truth/truth.csv` (source, key, person) says whose each record is; `key` is the record_id of
the standardized table. No source reads it; only the evaluation of identity does.
The people, addresses and phone numbers are invented; mailboxes lie in reserved domains.
"""

from personalization_assets.sample.generate import SampleSummary, generate

__all__ = ["SampleSummary", "generate"]
