"""The parts of tools/loadtest.py: frames and tally know no sockets, worker drives them."""
