"""The command line: parse → one call → one line of result. Only this room prints, catches and exits."""
