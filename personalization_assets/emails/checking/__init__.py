"""Templates that can't go wrong: what is read before a campaign may be sent, and every finding.

What belongs here: looking at a campaign's files without rendering them. What does not: rendering
(`render.py`), what a mail looked like in the end (`gallery.py`), and whether people should get it
(`audience.py`).

- `rules.py` is the table of all rules: code, severity, sentence, what to do;
- `findings.py` collects what broke them, `sources.py` knows which file and line a text came from;
- `dialects.py` recognises other template languages by a table (`dialect_table.py`) and says the
  same in Liquid, with our names (`names.py`);
- `variables.py` follows a template with the types of the mail context (`types.py`, `values.py`) and
  what its conditions prove (`guards.py`): unknown names, empty values that would be printed, and
  what filters and comparisons do with values of the wrong type (`uses.py`);
- `syntax.py` and `mjml.py` say in plain words what the parsers of Liquid and MJML only refuse;
- `hiding.py` takes a template through MJML with its lines; `markup.py` is HTML with Liquid in it as
  one tree, on which `links.py` and `balance.py` look;
- `measures.py` sums up a parsed template: lengths, bytes, and whether something is in every mail;
- `mail.py` applies all of it to a campaign's variant, `campaign.py` to folders of campaigns.
"""
