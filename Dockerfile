# The web page and its API; --target worker is the image of a Ray cluster's head and workers (docs/cluster.md).
#   docker build -t ivfuse --build-arg VERSION=0.1.0 .
#   docker run --rm -p 8000:8000 -e IVFUSE_TOKEN=secret --read-only --tmpfs /tmp --cap-drop ALL ivfuse

FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
# The version is that of Git's tag, which is not copied.
ARG VERSION=0.0.0
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_IVFUSE=$VERSION
RUN python -m venv /opt/ivfuse && /opt/ivfuse/bin/pip install --no-cache-dir --no-compile '.[serve]'

FROM build AS build-worker
RUN /opt/ivfuse/bin/pip install --no-cache-dir --no-compile '.[cluster]' s3fs gcsfs

FROM python:3.12-slim AS worker
RUN useradd --system --uid 10001 --create-home --shell /bin/bash ivfuse
COPY --from=build-worker /opt/ivfuse /opt/ivfuse
USER 10001
WORKDIR /tmp
ENV PATH=/opt/ivfuse/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
CMD ["ray", "start", "--head", "--block", "--disable-usage-stats"]

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ivfuse
COPY --from=build /opt/ivfuse /opt/ivfuse
USER 10001
WORKDIR /tmp
# Nothing is written but uploads, into a private folder in /tmp, while a request lasts.
ENV PATH=/opt/ivfuse/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["ivfuse"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
