terraform {
  required_providers {
    equinix = { source = "registry.terraform.io/equinix/equinix", version = "~> 4.16" }
  }
}

variable "names" { type = set(string) }
variable "project_id" { type = string }
variable "facility" { default = "ewr1" }
variable "create" { default = "30m" }
variable "user_data" { default = "#cloud-config\n# DRONE_RPC_SECRET=correct-horse\n" }

provider "equinix" {}

module "devices" {
  source     = "./devices"
  project_id = var.project_id
  facility   = var.facility
  create     = var.create
  user_data  = var.user_data
  names      = var.names
}

output "devices" {
  value = module.devices.devices
}
