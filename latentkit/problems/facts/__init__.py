"""Facts that can be chained: works and their makers, places, lands, and pairs of words.

`table` reads the facts, `wording` formulates the questions, `chains` joins facts into chains.
"""
