# One image for every part of Sluice: the command chooses the entry point, and without one it is the one-process Sluice.
#   docker build -t sluice:0.2.0 --build-arg COMMIT="$(git rev-parse HEAD)" .
#   docker run --read-only --tmpfs /tmp -v sluice:/data -p 127.0.0.1:1883:1883 -p 127.0.0.1:8080:8080 sluice:0.2.0
# To pin the base by digest too, take it from `docker buildx imagetools inspect node:26.10.0-trixie-slim` and append it
# in both FROM lines: node:26.10.0-trixie-slim@sha256:...
FROM node:26.10.0-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The folder becomes /data below, owned by who runs the process.
RUN npm ci --omit=dev --no-audit --no-fund && mkdir data

FROM node:26.10.0-trixie-slim
# In a container the network namespace is the wall, and loopback would be reachable from nowhere.
ENV NODE_ENV=production BIND_ADDRESS=0.0.0.0 DATA_DIR=/data MQTT_PORT=1883 HTTP_PORT=8080 OPS_PORT=8081
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies --chown=1000:1000 /app/data /data
COPY package.json LICENSE sluice ./
COPY config config
COPY shared shared
COPY services services
# Told by --version, /v1/status and the first line of the log; empty when it is not given.
ARG COMMIT=
RUN echo "$COMMIT" > commit
# By number, so that an orchestrator can see that it is not root. Any other user does as well who may write /data.
USER 1000:1000
EXPOSE 1883 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "--disable-warning=ExperimentalWarning", "config/compose/health-check.ts"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning"]
CMD ["services/cli/main.ts", "up"]
