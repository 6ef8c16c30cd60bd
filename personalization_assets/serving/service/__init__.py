"""The service that answers from the published copy: recommendations, similar products, profiles.

What belongs here: reading `serving.duckdb`, and only it; keys, limits, the ladder from live lists
to best sellers, and the words of the interface. What does not: making or changing any table. The
one import from another room is `recommendations.models.load`: the service scores with the code that
made the lists, so the two cannot differ.
"""
