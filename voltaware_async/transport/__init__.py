"""Everything that waits on the way to the API.

sender    one call: [slot -> token -> pace -> send -> read -> decide] until it is done or given up
tokens    one renewal at a time, for all callers together
pace      at most `rate` requests in any sliding second
wire      one attempt, counted and logged
session   the only place that talks HTTP
"""
