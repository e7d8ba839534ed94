"""Carries hints between the servers of a cluster, and shows each who is on the others.
It must not know the messenger, what a hint says, stores, or fronts.
"""
