terraform {
  required_providers {
    equinix = { source = "registry.terraform.io/equinix/equinix" }
  }
}

variable "project_id" { type = string }
variable "tag" { type = string }
variable "search" { default = null }

provider "equinix" {}

data "equinix_metal_devices" "found" {
  project_id = var.project_id
  search     = var.search
  filter {
    attribute = "tags"
    values    = [var.tag]
  }
}

output "found" {
  value = [for d in data.equinix_metal_devices.found.devices : { hostname = d.hostname, id = d.device_id, state = d.state, address = d.access_public_ipv4, tags = d.tags }]
}
