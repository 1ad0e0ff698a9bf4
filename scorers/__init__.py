"""Scorers, extractors and estimators: arrays in, arrays out.

A scorer gives each candidate of one query a number; selection is the argmax over those that have
an answer. Nothing here knows an engine, a file, a clock or a gold answer.
"""

from scorers.choice import ChoiceLetter
from scorers.estimators import Interval, clustered_interval, pass_at_k, wilson_interval
from scorers.extract import AfterMarker, Boxed, FinalAnswer, LastNumber, Regex
from scorers.length import Longest, Shortest
from scorers.logprob import MeanLogprob, SumLogprob, mean_logprob, sum_logprob
from scorers.number import canonical_number
from scorers.position import First, Random
from scorers.valid import FirstValid
from scorers.vote import MajorityVote, vote_shares

__all__ = [
    "AfterMarker",
    "Boxed",
    "ChoiceLetter",
    "FinalAnswer",
    "First",
    "FirstValid",
    "Interval",
    "LastNumber",
    "Longest",
    "MajorityVote",
    "MeanLogprob",
    "Random",
    "Regex",
    "Shortest",
    "SumLogprob",
    "canonical_number",
    "clustered_interval",
    "mean_logprob",
    "pass_at_k",
    "sum_logprob",
    "vote_shares",
    "wilson_interval",
]
