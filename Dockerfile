# One image for all roles; what a container does is its command: `sigil gateway`,
# `sigil worker routing|agent|outbound`, `celery -A workers flower`.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# What seldom changes comes first, so that a change in the code does not install everything again.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/sigil \
    && pip --python /opt/sigil/bin/python install --require-hashes -r requirements.lock \
    && pip install --require-hashes -r requirements-build.lock

COPY pyproject.toml README.md LICENSE celeryconfig.py ./
COPY sigil sigil
COPY workers workers
RUN hatchling build -t wheel -d dist \
    && pip --python /opt/sigil/bin/python install --no-deps --no-index dist/*.whl \
    && /opt/sigil/bin/python -m compileall -q /opt/sigil/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Sigil" \
      org.opencontainers.image.description="A gateway that puts AI agents behind chat apps" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 sigil \
    && useradd --uid 10001 --gid sigil --create-home --shell /usr/sbin/nologin sigil
COPY --from=build /opt/sigil /opt/sigil
ENV PATH=/opt/sigil/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /home/sigil
# By number, so that an orchestrator can tell that this is not root.
USER 10001:10001
EXPOSE 8787
CMD ["sigil", "gateway"]
