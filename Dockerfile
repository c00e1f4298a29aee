# syntax=docker/dockerfile:1

# Two images from one build: `docker build --target api .` and `docker build --target worker .`.

FROM rust:1.95-bookworm AS chef
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /src

# The recipe changes only with the manifests, so the layer that compiles the dependencies is kept
# as long as they are the same.
FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
# Queries are checked against .sqlx, not against a database.
ENV SQLX_OFFLINE=true
COPY --from=planner /src/recipe.json recipe.json
RUN cargo chef cook --release --locked --package api --package worker --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --package api --package worker

# glibc, the system's certificate authorities and a user without rights: no shell, no package
# manager.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The binaries have these built in; here they can be read and copied.
COPY config /etc/export
USER 65532:65532

FROM runtime AS api
LABEL org.opencontainers.image.title="export-api" \
      org.opencontainers.image.description="The HTTP API of the telemetry data export"
COPY --from=builder /src/target/release/export-api /usr/local/bin/export-api
EXPOSE 8080 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["/usr/local/bin/export-api", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/export-api"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="export-worker" \
      org.opencontainers.image.description="The worker of the telemetry data export"
COPY --from=builder /src/target/release/export-worker /usr/local/bin/export-worker
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["/usr/local/bin/export-worker", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/export-worker"]
