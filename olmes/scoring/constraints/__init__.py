"""Verifiable constraints on a response.

`base` says what a constraint is, `catalog` builds those of an item, `judging` gives the verdicts;
the other files hold the constraints, one a family.
"""
