# syntax=docker/dockerfile:1
# One image for every process of the service; choose one by its command:
#   docker run defuse api    docker run defuse web    docker run defuse worker    docker run defuse up
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/defuse
ENV PATH=/opt/defuse/bin:$PATH
# The pinned packages change seldom: a layer of their own. Test tools stay out of the image.
COPY requirements.lock ./
RUN grep -vE '^(beartype|buf-bin|check-jsonschema|greenlet|httpcore|httpx|hypothesis|import-linter|playwright|pre-commit|pyright|pytest.*|regress|ruamel.yaml|ruff|types-.*)==' \
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
# Bound to loopback by default: pass DEFUSE_ADDRESS and DEFUSE_WEB_ADDRESS with DEFUSE_TOKEN, DEFUSE_TLS_CERT and DEFUSE_TLS_KEY to serve others.
ENTRYPOINT ["defuse-server"]
CMD ["up"]
