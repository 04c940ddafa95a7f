"""The command line: jobs on files, from a shell."""
