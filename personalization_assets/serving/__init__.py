"""The copy of the results that everybody else reads, and the service that answers from it.

What belongs here: choosing which tables readers (services, notebooks, BI) get, putting that file in
place at once, and answering requests from it (`service`). A reader never opens the warehouse, so it
never blocks a run and never sees half of one. No profile, model or list is made here.
"""
