# A hub in a container. Build: docker build -t hubwire .
# Run:  docker run -p 8883:8883 -p 443:443 -v hubwire:/data hubwire --host-name hub.example
#       (arguments behind the image's name are added to `hubwire hub start`)
# CA:   docker cp <container>:/data/ca.pem .
# Next: docker exec <container> hubwire --data /data device create my-device

FROM node:24-slim AS build
WORKDIR /hubwire
COPY package.json package-lock.json .npmrc tsconfig.base.json tsconfig.json ./
COPY packages packages
COPY scripts/bundle.mjs scripts/bundle.mjs
RUN npm ci --ignore-scripts --loglevel=error \
  && node node_modules/typescript/bin/tsc -b packages/cli \
  && node scripts/bundle.mjs protocol transport log device service \
  && rm -rf packages/*/src packages/*/test

FROM node:24-slim AS dependencies
WORKDIR /hubwire
COPY package.json package-lock.json .npmrc ./
COPY packages packages
RUN npm ci --omit=dev --omit=optional --ignore-scripts --loglevel=error

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /hubwire
COPY --from=dependencies /hubwire/node_modules node_modules
COPY --from=build /hubwire/packages packages
COPY package.json package.json
COPY docker docker
RUN chmod +x packages/cli/bin/hubwire.js \
  && ln -s /hubwire/packages/cli/bin/hubwire.js /usr/local/bin/hubwire \
  && mkdir -m 700 /data \
  && chown node:node /data
USER node
VOLUME /data
EXPOSE 8883 443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["node", "docker/healthcheck.mjs", "/data"]
# Loopback inside a container is nobody's: this is the one place where a hub listens on all addresses, and it says so here.
ENTRYPOINT ["node", "packages/cli/bin/hubwire.js", "--data", "/data", "hub", "start", "--host", "0.0.0.0", "--log-format", "json"]
