"""Scorers, extractors and estimators: arrays in, arrays out.

A scorer gives each candidate of one query a number; selection is the argmax over those that have
an answer. Nothing here knows an engine, a file, a clock or a gold answer.
"""

from scorers.among import AmongValid
from scorers.best_of_k import best_of_k
from scorers.best_of_majority import BestOfMajority
from scorers.borda import Borda
from scorers.choice import ChoiceLetter
from scorers.code_block import CodeBlock
from scorers.confidence import Confidence
from scorers.coverage import all_at_k, extrapolate, fit_beta_binomial, fit_power_law
from scorers.equivalence import ChoiceEquivalence, JsonEquivalence, NumberEquivalence
from scorers.equivalence_math import MathEquivalence
from scorers.equivalence_sql import SqlResultEquivalence
from scorers.estimators import Interval, clustered_interval, pass_at_k, wilson_interval
from scorers.extract import AfterMarker, Boxed, FinalAnswer, LastNumber, Regex
from scorers.judge import Judge
from scorers.length import Longest, Shortest
from scorers.logprob import (
    LengthPenalisedLogprob,
    MeanLogprob,
    Perplexity,
    SumLogprob,
    mean_logprob,
    sum_logprob,
)
from scorers.majority_at_k import majority_at_k
from scorers.majority_of_bests import MajorityOfBests
from scorers.number import canonical_number
from scorers.over_optimisation import Watch, watch
from scorers.paired import Difference, mcnemar, paired_difference
from scorers.person import UserChoice
from scorers.pessimistic import Pessimistic
from scorers.position import First, Random
from scorers.python_tests import PassesTests
from scorers.reward import RewardModel
from scorers.risk import MinimumBayesRisk
from scorers.routed_vote import RoutedVote
from scorers.self_certainty import SelfCertainty, self_certainty
from scorers.sql_valid import SqlValid
from scorers.stored_score import StoredScore
from scorers.top_vote import TopVote
from scorers.tournament import Tournament
from scorers.universal_vote import UniversalVote
from scorers.valid import FirstValid
from scorers.validators import AllOf, JsonValid, Matches, Satisfies
from scorers.vote import MajorityVote, vote_shares
from scorers.weighted_at_k import weighted_choices
from scorers.weighted_vote import WeightedVote
from scorers.yaml_valid import YamlValid

__all__ = [
    "AfterMarker",
    "AllOf",
    "AmongValid",
    "BestOfMajority",
    "Borda",
    "Boxed",
    "ChoiceEquivalence",
    "ChoiceLetter",
    "CodeBlock",
    "Confidence",
    "Difference",
    "FinalAnswer",
    "First",
    "FirstValid",
    "Interval",
    "JsonEquivalence",
    "JsonValid",
    "Judge",
    "LastNumber",
    "LengthPenalisedLogprob",
    "Longest",
    "MajorityOfBests",
    "MajorityVote",
    "Matches",
    "MathEquivalence",
    "MeanLogprob",
    "MinimumBayesRisk",
    "NumberEquivalence",
    "PassesTests",
    "Perplexity",
    "Pessimistic",
    "Random",
    "Regex",
    "RewardModel",
    "RoutedVote",
    "Satisfies",
    "SelfCertainty",
    "Shortest",
    "SqlResultEquivalence",
    "SqlValid",
    "StoredScore",
    "SumLogprob",
    "TopVote",
    "Tournament",
    "UniversalVote",
    "UserChoice",
    "Watch",
    "WeightedVote",
    "YamlValid",
    "all_at_k",
    "best_of_k",
    "canonical_number",
    "clustered_interval",
    "extrapolate",
    "fit_beta_binomial",
    "fit_power_law",
    "majority_at_k",
    "mcnemar",
    "mean_logprob",
    "paired_difference",
    "pass_at_k",
    "self_certainty",
    "sum_logprob",
    "vote_shares",
    "watch",
    "weighted_choices",
    "wilson_interval",
]
