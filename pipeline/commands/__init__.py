"""The command line: parse → one call → one line of result. The only room that prints, catches and exits."""
