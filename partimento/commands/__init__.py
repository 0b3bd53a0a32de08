"""The verbs of the command line, one module each: flags in, calls of the package, files and lines out.

A verb knows its options (a frozen dataclass, read by `common.flags.parse`) and what it prints; it refuses to know how
anything is done. Verbs that have verbs of their own are folders. `partimento.cli` lists the verbs and decides what a
failure looks like.
"""
