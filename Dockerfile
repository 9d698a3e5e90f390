# kubectl-vmetrics as an image, for `proxy` in the cluster. With BuildKit:
#
#   python -m pip wheel --no-deps --wheel-dir dist . && docker build --tag IMAGE .
#
# The release workflow puts the wheel of the release into dist/. Packages are those of release/image.txt, by hash. They
# are unpacked and not run, so an image for arm64 is built on amd64 without emulation.
ARG PYTHON=3.13

FROM --platform=$BUILDPLATFORM python:${PYTHON}-slim-trixie AS build
ARG PYTHON
ARG TARGETARCH
COPY release/image.txt dist/*.whl /build/
RUN case "$TARGETARCH" in \
      amd64) machine=x86_64 ;; \
      arm64) machine=aarch64 ;; \
      *) echo "error: no image for '$TARGETARCH': build for linux/amd64 or linux/arm64, with BuildKit" >&2; exit 1 ;; \
    esac \
    && python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore --no-compile \
      --no-deps --require-hashes --only-binary :all: --implementation cp --python-version "$PYTHON" \
      --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
      --target /opt/vmetrics --requirement /build/image.txt \
    && python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore --no-compile \
      --no-deps --no-index --target /opt/vmetrics /build/*.whl \
    && rm -rf /opt/vmetrics/bin \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/vmetrics

FROM python:${PYTHON}-slim-trixie
LABEL org.opencontainers.image.source="https://github.com/kubectl-vmetrics/kubectl-vmetrics" \
      org.opencontainers.image.description="Host metrics with the names of virtual clusters" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/vmetrics /opt/vmetrics
ENV PYTHONPATH=/opt/vmetrics \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["python", "-P", "-m", "kubectl_vmetrics"]
