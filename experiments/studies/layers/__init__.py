"""Study: what each layer of structured output wins, and what it costs in wrong values.

Run it with `python -m nbest.experiments.studies.layers --help`.
"""
