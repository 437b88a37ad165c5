# docker build -t unionws . && docker run -p 8080:8080 -v unionws:/data unionws
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --prefix=/installed ".[uvloop,jwt]"

FROM python:3.12-slim
COPY --from=build /installed /usr/local
RUN useradd --system --uid 10001 --home-dir /data --create-home unionws
USER unionws
WORKDIR /data
# Settings: environment UNIONWS_<NAME>, or a file mounted at /data/conf/settings.py; another port by UNIONWS_PORT,
# which the health check asks too
ENV UNIONWS_STATE_DIR=/data/state UNIONWS_EDGE_PROCESSES=auto PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('UNIONWS_PORT') or 8080}/livez\", timeout=2)"]
ENTRYPOINT ["unionws"]
CMD ["serve"]
