# syntax=docker/dockerfile:1

# The same Debian on both sides: the program is linked to its C library.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo xtask dist && cp target/dist/stance /stance

# For pipelines, which need a shell: docker build --target ci
FROM debian:bookworm-slim AS ci
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /stance /usr/local/bin/stance

# No shell and no package manager, certificate authorities, and an unprivileged user.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /stance /usr/local/bin/stance
ENV STANCE_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/stance"]
CMD ["serve"]
