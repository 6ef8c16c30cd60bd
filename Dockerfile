# syntax=docker/dockerfile:1
# One image for the code server, the web server and the daemon; docker-compose.yml says which it is.

FROM python:3.11-slim-bookworm AS build
# Compiled here, once: the image is not written to later, and compiling takes each process seconds.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.lock pyproject.toml README.md LICENSE ./
# The lock names what development needs, too. As a constraint it pins the versions,
# and pyproject.toml says which of them a server needs.
RUN /opt/venv/bin/python -m pip install --quiet --constraint requirements.lock uv \
    && /opt/venv/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['deploy'], sep='\n')" > requirements.in \
    && /opt/venv/bin/uv pip install --quiet --python /opt/venv/bin/python \
        --constraint requirements.lock --requirement requirements.in
COPY personalization_assets personalization_assets
# Editable, so that the package finds dbt_like_sql/ and data/ beside it in /app as it does in a clone.
RUN /opt/venv/bin/uv pip install --quiet --python /opt/venv/bin/python \
        --build-constraints requirements.lock --no-deps --editable . \
    && /opt/venv/bin/uv pip uninstall --quiet --python /opt/venv/bin/python uv


FROM python:3.11-slim-bookworm
ARG UID=1000
ARG GID=1000
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="personalization-assets" \
      org.opencontainers.image.description="Customer data in, personal e-mails out: a Dagster and DuckDB platform" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

# libgomp1: implicit's compiled ALS links to it, and its wheel does not carry it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid "${GID}" personalize \
    && useradd --uid "${UID}" --gid "${GID}" --no-create-home --home-dir /app personalize \
    && install --directory --owner="${UID}" --group="${GID}" /app /app/data /opt/dagster/logs

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    TZ=UTC \
    DAGSTER_HOME=/opt/dagster
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY deploy/dagster.yaml deploy/workspace.yaml /opt/dagster/
COPY pyproject.toml workspace.yaml ./
COPY dbt_like_sql dbt_like_sql
COPY personalization_assets personalization_assets
COPY --chown=${UID}:${GID} data data

USER ${UID}:${GID}
EXPOSE 4000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=5 \
    CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
CMD ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "personalization_assets.definitions"]
