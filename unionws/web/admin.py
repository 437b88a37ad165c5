"""``/graphql-stats``, ``/slow-clients``, ``/debug``: operators' views."""

from __future__ import annotations

from unionws.web.base import OPERATORS, View
from unionws.web.stats import legacy_config


class GraphqlStatsHandler(View):
    """The upstream's requests, failures and latencies."""

    needs = OPERATORS

    def get(self) -> None:
        self.answer({**self.views.ingest("graphql"), "timestamp": self.views.now_ms()})


class SlowClientsHandler(View):
    """Clients that do not keep up; ``detail=true`` lists this edge's."""

    needs = OPERATORS

    def get(self) -> None:
        clients = self.views.clients()
        detail = self.get_query_argument("detail", "") == "true"
        body = {"metrics": clients["slow"], "timestamp": self.views.now_ms(), "detailsIncluded": detail}
        if detail:
            body["slowClientDetails"] = clients["slowDetails"]
        self.answer(body)


class DebugHandler(View):
    """Everything at once, for a look in trouble."""

    needs = OPERATORS

    def get(self) -> None:
        chart, clients = self.views.chart(), self.views.clients()
        self.answer(
            {
                "config": legacy_config(self.views),
                "server": clients["server"],
                "buckets": self.views.ingest("buckets"),
                "rawStats": chart.get("currentRates", {}),
                "topRoutes": chart.get("popularRoutes", []),
                "topSenders": chart.get("activeSenders", []),
                "plugins": self.views.ingest("plugins").get("plugins", []),
                "timestamp": self.views.now_ms(),
            }
        )


ROUTES = [
    ("/graphql-stats", GraphqlStatsHandler),
    ("/slow-clients", SlowClientsHandler),
    ("/debug", DebugHandler),
]
