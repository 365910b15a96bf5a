"""Everything that waits on the way to the API.

sender    one call: [slot -> token -> pace -> send -> read -> decide] until it is done or given up
tokens    one renewal at a time, for all callers together
slots     at most so many requests under way
pace      at most `rate` requests in any sliding second
wire      one attempt, counted and logged
regulator slots and pace at what the API bears, by how each attempt ended
session   the only place that talks HTTP
"""
