"""From files that somebody sent to what may be kept: the checks at the door."""
