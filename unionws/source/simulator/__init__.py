"""The embedded indexer: Union's GraphQL schema over believable, seeded traffic.

::

    world        real chains, routes and tokens
    traffic      transfers as a pure function of (seed, time)
    rows         what the API shows of one
    search       arguments to rows
    execution    GraphQL
    indexer      requests to answers, without a network
    server       HTTP, whole-answer faults, RPC stand-ins

``p_comparison`` may be quoted or not, as in the wild. ``@cached`` is accepted and answers are always
fresh. History reaches back 60 days; none of it is held.
"""

from unionws.source.simulator.faults import MODES, Faults, parse_faults
from unionws.source.simulator.server import Simulator, run_simulator
from unionws.source.simulator.traffic import Bursts

__all__ = ["MODES", "Bursts", "Faults", "Simulator", "parse_faults", "run_simulator"]
