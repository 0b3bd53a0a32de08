"""Performances -> vectors."""
