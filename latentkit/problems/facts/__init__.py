"""A small world of facts that chain: works, their makers, places, lands, and some words that go in pairs.

`table` reads what is true, `wording` says how it is asked, `chains` puts one fact behind another.
"""
