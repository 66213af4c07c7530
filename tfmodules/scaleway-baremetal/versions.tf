terraform {
  required_version = ">= 1.7"

  required_providers {
    scaleway = {
      source  = "registry.terraform.io/scaleway/scaleway"
      version = "~> 2.81"
    }
  }
}
