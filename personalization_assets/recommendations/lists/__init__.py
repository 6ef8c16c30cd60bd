"""From scores to lists that may be shown to people.

    candidates   the model's best, products to buy again, new products, best sellers  (candidates)
    rules        what may never be shown, or not to this customer                     (candidates)
    places       caps, diversity, and who fills what is left                          (choosing)
    words        why a product is on the list                                         (words)

The rules are settings, see `list_settings`. `build` puts the steps together, in batches of
customers; nothing is done per customer in Python.
"""

from personalization_assets.recommendations.lists.building import NO_MODEL, build

__all__ = ["NO_MODEL", "build"]
