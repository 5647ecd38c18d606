# Sallyport, small and without privileges. Made to run with a read-only root:
#
#   docker build -t sallyport .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v "$PWD/site:/etc/sallyport:ro" -v sallyport-data:/var/lib/sallyport -p 8080:8080 sallyport
#
# The config is /etc/sallyport/gateway.config.json; what is written (the audit log, the last good
# bundle) belongs under /var/lib/sallyport: see docs/operating.md.

FROM node:22-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json LICENSE ./
COPY src src
COPY schemas schemas
COPY policies policies
COPY templates templates
RUN npm run --silent build && npm prune --omit=dev --no-audit --no-fund

FROM node:22-slim
RUN groupadd --gid 65532 sallyport \
 && useradd --uid 65532 --gid 65532 --no-create-home --shell /usr/sbin/nologin sallyport \
 && install -d -o sallyport -g sallyport -m 0700 /var/lib/sallyport \
 && rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn*
WORKDIR /opt/sallyport
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY --from=build /src/schemas schemas
COPY --from=build /src/policies policies
COPY --from=build /src/templates templates
COPY --from=build /src/package.json /src/LICENSE* ./
ENV NODE_ENV=production STATE_DIRECTORY=/var/lib/sallyport
USER 65532:65532
WORKDIR /var/lib/sallyport
VOLUME /var/lib/sallyport
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8081/healthz').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["node", "/opt/sallyport/dist/cli.js"]
CMD ["serve", "--config", "/etc/sallyport/gateway.config.json"]
