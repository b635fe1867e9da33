"""Lanes: the one primitive, and what every step does with it.

lane      what a lane promises                effects   the closed set of writes of a commit
leases    how a process takes and renews      replies   how a reply is put on its lane
held      what a holder does with a lane      fleet     the processes, and what each understands
"""
