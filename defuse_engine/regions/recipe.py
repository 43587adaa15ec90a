"""How an audit goes from seeds to regions, apart from its numbers: what each preset does in its own way."""

from __future__ import annotations

from dataclasses import dataclass

from defuse_engine.regions.bugs import GroupCells, by_gradient, one_by_one
from defuse_engine.regions.grouping import Group, group_all, group_by_pair
from defuse_engine.regions.refine import Refine, refine, sample_as_grouped
from defuse_engine.search import recipe
from defuse_engine.search.recipe import SearchRecipe


@dataclass(frozen=True)
class AuditRecipe:
    """The steps of an audit that a preset chooses."""

    search: SearchRecipe
    group: Group
    refine: Refine
    group_cells: GroupCells
    """How regions become bugs."""
    adds_narrow_regions: bool
    """Whether confusions that no region shows get narrow regions (`narrow_regions`)."""


DEFAULT = AuditRecipe(recipe.DEFAULT, group_by_pair, refine, by_gradient, adds_narrow_regions=True)
PAPER = AuditRecipe(recipe.PAPER, group_all, sample_as_grouped, one_by_one, adds_narrow_regions=False)
