"""Study: searches over steps against whole answers, at as many tokens, by scores of known quality.

Run it with `python -m nbest.experiments.studies.search_against_sampling --help`.
"""
