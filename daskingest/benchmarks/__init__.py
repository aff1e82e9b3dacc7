"""Benchmarks: what this machine does, as ratios that other programs read. Nothing imports them."""
