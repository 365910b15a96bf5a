"""The fleet pull: plan -> pull -> land, and every night again.

fleet         what `client.fleet` offers
due           which results can be there as of a day, and which absent ones are asked for again
plan          devices x datasets x periods -> cells, lazily and in a stable order; and what they will cost
job           what one run is to do, decided before it begins
survey        new devices are looked up first
supply        cells in pages, handed to many workers
crew          the workers that fetch cells, and hand each outcome on
pull          their outcomes as an async iterator
landing       outcomes -> batches -> store, and the account of it
store_thread  the thread that a store is called in
cut_off       a run that may take only so long ends in time
outage        an API that gives no usable answer ends the run, instead of failing the whole fleet
witness       whether it answers at all, when it does not where it is asked
outlast       work that is seen to its end, also when its caller is cancelled
summary       the account: every planned cell, by how it ended
speed         how fast a run goes now

The API is seen only through "fetch this cell" and "look this device up".
"""
