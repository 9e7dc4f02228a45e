"""Random pipelines with faults in them, run on every engine and held to one reading of the rules.

`cases` makes pipelines, `oracle` says how they have to end, `trial` runs them, `engines` knows what
differs between engines, and `ledger` counts attempts outside of any pod.
"""
