# The slim Rust image brings gcc and libc6-dev, all that the bundled SQLite and libpq need.
FROM rust:1.95-slim-bookworm AS builder
WORKDIR /build
COPY . .
# The caches live outside the image, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin giaidap \
    && cp target/release/giaidap /usr/local/bin/giaidap

FROM debian:bookworm-slim
RUN useradd --system --user-group --uid 10001 --no-create-home --home-dir /var/lib/giaidap giaidap \
    && install --directory --owner=giaidap --group=giaidap --mode=0750 /var/lib/giaidap
COPY --from=builder /usr/local/bin/giaidap /usr/local/bin/giaidap
USER 10001:10001
# The storage folder is made below the working directory.
WORKDIR /var/lib/giaidap
VOLUME /var/lib/giaidap
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["giaidap", "healthcheck"]
ENTRYPOINT ["giaidap"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
