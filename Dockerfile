# hangar with terraform and the provider of its modules: a running container
# downloads nothing. The classic builder suffices.
#
#   docker build -t hangar .
#   docker build -t hangar --build-arg TERRAFORM_IMAGE=ghcr.io/opentofu/opentofu:minimal .   # OpenTofu instead
#
# Where HashiCorp cannot be reached, what would be downloaded is taken from the
# build context: terraform from bundle/bin, the provider mirror from bundle/mirror.
ARG TERRAFORM_IMAGE=build

FROM golang:1.26-bookworm AS build
RUN command -v busybox >/dev/null || { apt-get update && apt-get install -y --no-install-recommends busybox-static; }
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
# sqlite needs cgo; linked statically, the binary needs nothing of the image.
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false -tags netgo,osusergo,timetzdata,sqlite_omit_load_extension \
      -ldflags "-s -w -linkmode external -extldflags -static -X main.Version=${VERSION} -X main.Commit=${COMMIT}" \
      -o /hangar ./cmd/hangar

FROM ${TERRAFORM_IMAGE} AS terraform

FROM build AS bundle
COPY --from=terraform /usr/local/bin /offered
ARG TERRAFORM_VERSION=1.11.4
# hangar installs terraform as it does anywhere, checksum and signature verified.
RUN mkdir -p /image/usr/local/bin /image/usr/local/share/hangar/mirror /image/etc/ssl/certs /image/bin /image/data && \
    for f in /offered/tofu bundle/bin/*; do if [ -x "$f" ]; then cp "$f" /image/usr/local/bin/; fi; done && \
    export PATH="/image/usr/local/bin:$PATH" DRONE_DATA=/install DRONE_TERRAFORM_VERSION=${TERRAFORM_VERSION} && \
    if [ -d bundle/mirror ]; then cp -R bundle/mirror/. /image/usr/local/share/hangar/mirror/; \
    else /hangar mirror /image/usr/local/share/hangar/mirror; fi && \
    for f in /install/terraform/terraform-*/terraform; do if [ -x "$f" ]; then cp "$f" /image/usr/local/bin/; fi; done && \
    cp /hangar /image/usr/local/bin/ && cp "$(command -v busybox)" /image/bin/busybox && ln -s busybox /image/bin/sh && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    echo 'hangar:x:65532:65532:hangar:/data:/bin/sh' >/image/etc/passwd && echo 'hangar:x:65532:' >/image/etc/group && \
    chmod -R a+rX,go-w /image && chmod 700 /image/data && chown 65532:65532 /image/data

FROM scratch
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Hangar" \
      org.opencontainers.image.description="Terraform-driven autoscaler for Drone CI build agents" \
      org.opencontainers.image.source="https://github.com/hangar/hangar" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=bundle /image /
ENV PATH=/usr/local/bin:/bin HOME=/data TMPDIR=/data/tmp DRONE_DATA=/data \
    DRONE_TERRAFORM_MIRROR=/usr/local/share/hangar/mirror HANGAR_SIMULATE_HTTP=:8080
USER 65532:65532
VOLUME /data
EXPOSE 8080 80 443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/usr/local/bin/hangar", "health"]
ENTRYPOINT ["/usr/local/bin/hangar"]
CMD ["serve"]
