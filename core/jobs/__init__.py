"""Jobs: command lines that outlive page and server, can be paused and cancelled, and leave a trace when they die.

``queue`` keeps them and their order in the workspace's database, ``worker`` runs them, as many at once on each device
as it has ``slots``, ``log`` reads what they say, ``outcome`` tells how one ended, ``process`` watches and stops
processes, ``fits`` looks at those that train.
"""
