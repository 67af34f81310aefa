"""Synthetic scenes and degradations: pairs with known truth, made from a seed."""
