"""Whether mail to an address would arrive: own history and lists first, a paid service last.

- `verdicts`: what a service answers, in words that are the same for all of them
- `calling`: one HTTP request, tried again where that helps
- `neverbounce`, `zerobounce`: the two services, in their own formats
- `addresses`: which addresses there are, what is known of them without asking, who is asked next
- `journal`: answers and spending, kept batch by batch
- `asking`: a run's questions within the day's budget
- `assets`: the two tables

What belongs here: everything between an address and its verdict. That no mail goes to an
undeliverable address is the business of `emails`.
"""
