"""What each customer is likely to want next: interactions, a trained model, lists of products.

Belongs here: weighing what people did, training and judging models, the rules of a list, the words
that say why a product is on it. Does not belong here: who may get a mail and what it looks like
(`emails`), and what came of it (`feedback`).
"""
