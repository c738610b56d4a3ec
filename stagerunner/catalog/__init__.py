"""Plugins → Catalog: every part by name, and the plugin that provides it."""

from __future__ import annotations

from stagerunner.catalog.catalog import Catalog
from stagerunner.catalog.loading import PluginRef, load_catalog
from stagerunner.catalog.model import Entry, Problem, Provider, Resolved, Unresolved

__all__ = [
    "Catalog",
    "Entry",
    "PluginRef",
    "Problem",
    "Provider",
    "Resolved",
    "Unresolved",
    "load_catalog",
]
