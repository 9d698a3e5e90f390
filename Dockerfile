FROM python:3.13-slim AS build
COPY . /source
RUN python -m venv /opt/vmetrics && /opt/vmetrics/bin/pip install --no-cache-dir /source

FROM python:3.13-slim
COPY --from=build /opt/vmetrics /opt/vmetrics
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["/opt/vmetrics/bin/kubectl-vmetrics"]
