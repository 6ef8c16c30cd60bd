"""The copy of the results that everybody else reads.

What belongs here: choosing which tables readers (services, notebooks, BI) get, and putting that
file in place at once. A reader never opens the warehouse, so it never blocks a run and never sees
half of one. Answering requests is not done here.
"""
