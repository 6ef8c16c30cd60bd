"""E-mails: who gets which mail and why, the mails themselves, and their hand-over.

What belongs here:

- campaign folders (`campaigns.py`), compiled and checked templates (`templates.py`,
  `liquid_env.py`) and the compiler behind them (`liquid_batch/`, usable alone);
- what a template may use (`mail_context.py`) and the SQL that fills it (`contexts.py`);
- the decisions (`audience.py`, `decision_sql.py`, `suppression_list.py`; `why.py` explains one);
- rendering over Arrow batches (`render.py`), by one process or several (`building.py`, `jobs.py`,
  `worker.py`), and where mails lie (`storage.py`);
- hand-over as files (`handover.py`) or through a mail server (`delivery/`);
- what people look at: findings about templates (`checking/`), made-up and real mails side by side
  (`preview/`), and the gallery (`gallery.py`).

What does not: choosing products (room `recommendations`), consents and profiles (room `profiles`).
"""
