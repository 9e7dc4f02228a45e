"""Tests against real engines; run with `scripts/e2e`."""
