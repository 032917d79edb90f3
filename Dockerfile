# The server, the worker, the function for AWS Lambda and the operator's command line, for production: no shell, no package manager, not root.

FROM node:20.20.2-bookworm-slim AS explorer
WORKDIR /src
COPY graphiql/package.json graphiql/package-lock.json graphiql/.npmrc graphiql/
RUN cd graphiql && npm ci --ignore-scripts --no-audit --no-fund
COPY schema.graphqls ./
COPY docs/operations docs/operations
COPY graphiql graphiql
RUN node graphiql/build.mjs

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=explorer /src/graphiql/dist graphiql/dist
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/rapport-server . \
 && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/rapport-worker ./cmd/worker \
 && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -tags lambda.norpc -o /out/rapport-lambda ./cmd/lambda \
 && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/rapport ./cmd/rapport \
 && mkdir /home/rapport

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/ /usr/local/bin/
COPY --from=build --chown=65532:65532 /home/rapport /var/lib/rapport
ENV RAPPORT_MODE=production RAPPORT_ADDR=0.0.0.0:8080 RAPPORT_LOG_FORMAT=json RAPPORT_HOME=/var/lib/rapport
VOLUME /var/lib/rapport
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rapport-server"]
