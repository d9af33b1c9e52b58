# The bundles are the same for every architecture, so they are built on that of the builder.
FROM --platform=$BUILDPLATFORM node:24-slim AS build
WORKDIR /sluice
COPY package.json package-lock.json ./
RUN npm install --no-save --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
COPY console ./console
COPY rules ./rules
COPY functions ./functions
COPY samples ./samples
RUN npm run build

# Native code for the architecture of the image.
FROM node:24-slim AS modules
WORKDIR /sluice
COPY package.json package-lock.json ./
RUN npm install --no-save --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production \
    SLUICE_RULES_DIR=/sluice/rules \
    SLUICE_DATA_DIR=/sluice/data
WORKDIR /sluice
COPY --from=modules /sluice/node_modules ./node_modules
COPY --from=build /sluice/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
COPY rules ./rules
COPY functions ./functions
COPY samples ./samples
RUN ln -s /sluice/bin/sluice.js /usr/local/bin/sluice \
 && mkdir data && chown -R node:node data rules functions
USER node
VOLUME /sluice/data
EXPOSE 1883 8080 8883
# It finds the engine at any host and port, and the local Kinesis of `sluice kinesis`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["sluice", "health"]
ENTRYPOINT ["sluice"]
CMD ["start"]
