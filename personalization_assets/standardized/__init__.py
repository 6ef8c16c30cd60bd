"""The nine entities of the shop, typed, normalised and judged by a contract.

Belongs here: reading a source's text into types, one spelling for everything that has one (dates,
phones, addresses, countries, currencies, categories), the contracts of the standardized tables,
and the quarantine of rows that broke them.

Does not belong here: which file holds what (`sources`), who is who (`identity`), anything that
looks at two rows of different people or sums up behaviour (`profiles`).
"""
