"""Files of other programs as lines of a pool: told by what they hold, whatever they are called."""
