"""Recipes: several students of published methods, and settings for tables."""

from skkd.recipes._base import Recipe
from skkd.recipes.assistant_chain import AssistantChain
from skkd.recipes.born_again import BornAgain
from skkd.recipes.distil_table import distil_table
from skkd.recipes.distilled_ensemble import DistilledEnsemble
from skkd.recipes.mutual_learning import MutualLearning

__all__ = [
    "AssistantChain",
    "BornAgain",
    "DistilledEnsemble",
    "MutualLearning",
    "Recipe",
    "distil_table",
]
