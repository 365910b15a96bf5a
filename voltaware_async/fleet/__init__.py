"""The fleet pull: plan -> pull -> land.

fleet      what `client.fleet` offers
plan       devices x datasets x periods -> cells, lazily and in a stable order
supply     cells in pages, handed to many workers
crew       the workers that fetch cells, and hand each outcome on
pull       their outcomes as an async iterator
outlast    work that is seen to its end, also when its caller is cancelled
outage     a silent API ends the run, instead of marking the whole fleet failed
landing    outcomes -> batches -> store, and the account of it
summary    the account: every planned cell, by how it ended

The API is seen only through "fetch this cell".
"""
