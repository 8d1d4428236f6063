"""Jobs: command lines that outlive the page and the server, can be cancelled, and leave a trace when they die.

``queue`` keeps them in the workspace's database, ``worker`` runs them one after another on each device,
``log`` reads what they say, ``outcome`` tells how one ended, ``process`` watches and stops processes.
"""
