terraform {
  required_version = ">= 1.7"

  required_providers {
    equinix = {
      source  = "registry.terraform.io/equinix/equinix"
      version = "~> 4.16"
    }
  }
}
