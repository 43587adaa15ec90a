"""The recipes of each preset: chosen here, once, and nowhere asked for again."""

from __future__ import annotations

from defuse_engine.configs import Preset
from defuse_engine.correction import recipe as correction
from defuse_engine.correction.recipe import CorrectionRecipe
from defuse_engine.regions import recipe as regions
from defuse_engine.regions.recipe import AuditRecipe

AUDIT_RECIPES: dict[Preset, AuditRecipe] = {"default": regions.DEFAULT, "paper": regions.PAPER}
CORRECTION_RECIPES: dict[Preset, CorrectionRecipe] = {
    "default": correction.DEFAULT,
    "paper": correction.PAPER,
}
