# syntax=docker/dockerfile:1
# One image serves every process of the service. The command chooses the process:
#   docker run defuse api    docker run defuse web    docker run defuse worker    docker run defuse up
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/defuse
ENV PATH=/opt/defuse/bin:$PATH
# The pinned packages rarely change, so they get their own layer. Test tools stay out of the image.
COPY requirements.lock ./
RUN grep -vE '^(beartype|buf-bin|check-jsonschema|execnet|greenlet|httpcore|httpx|hypothesis|import-linter|playwright|pre-commit|pyright|pytest.*|regress|ruamel.yaml|ruff|types-.*)==' \
      requirements.lock > runtime.lock \
 && pip install --no-cache-dir -r runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY client client
COPY server server
COPY defuse_engine defuse_engine
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
COPY --from=build /opt/defuse /opt/defuse
ENV PATH=/opt/defuse/bin:$PATH PYTHONUNBUFFERED=1 DEFUSE_STATE_DIR=/var/lib/defuse DEFUSE_STORE_URL=/var/lib/defuse/store
RUN useradd --system --uid 10001 --home-dir /var/lib/defuse --create-home defuse
USER defuse
VOLUME /var/lib/defuse
EXPOSE 50151 50180 50190
# The service binds to loopback by default. To serve others, set DEFUSE_ADDRESS and DEFUSE_WEB_ADDRESS together with
# DEFUSE_TOKEN, DEFUSE_TLS_CERT and DEFUSE_TLS_KEY.
ENTRYPOINT ["defuse-server"]
CMD ["up"]
