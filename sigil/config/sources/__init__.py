"""Where settings come from, in the order in which they are read.

document    the file             expand   the variables that the file refers to
overrides   the `SIGIL_*` variables, which are put over it
"""
