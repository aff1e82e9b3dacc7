"""Writes a store's counts into another one, once each: only what changed since the last time."""
