# hangar with a bundled terraform. Build: docker build -t hangar .
ARG TERRAFORM_VERSION=1.11.4
FROM hashicorp/terraform:${TERRAFORM_VERSION} AS terraform

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
# sqlite needs cgo; linked statically, the binary needs nothing of the image.
RUN CGO_ENABLED=1 go build -trimpath -tags netgo,osusergo,sqlite_omit_load_extension \
      -ldflags "-s -w -linkmode external -extldflags -static -X main.Version=${VERSION} -X main.Commit=${COMMIT}" \
      -o /hangar ./cmd/hangar

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata && rm -rf /var/lib/apt/lists/*
COPY --from=terraform /bin/terraform /usr/local/bin/terraform
COPY --from=build /hangar /usr/local/bin/hangar
ENV DRONE_DATA=/data
VOLUME /data
EXPOSE 8080 80 443
STOPSIGNAL SIGTERM
ENTRYPOINT ["hangar"]
CMD ["serve"]
