"""What came of the mails: which clicks led to which purchases, how campaigns do, and what people
made of each recommendation.

Belongs here: attribution and performance of campaigns, the outcome of every recommendation, how
models do by it, and the signals that ask for a new training. Does not belong here: choosing
products and training (`recommendations`), mails (`emails`).

`attribution` and `performance` read `standardized` and `identity` only, so mails that were sent
before this platform existed count too. The tables of recommendations read `emails` as well, which
reads `recommendations`. The way back is not in Dagster's graph, which can't go in circles:
exploring (`recommendations.exploring`) and training under `retrain: when_needed` read
`feedback.recommendation_outcomes`, `feedback.examination` and `feedback.retraining_signals` as the
run before left them, where they exist.
"""
