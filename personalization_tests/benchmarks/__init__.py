"""Commands that print figures: how fast, how large, how right, each beside a named baseline.

They are no tests: pytest collects none of them, and no figure here can fail a build.
"""
