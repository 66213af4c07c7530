terraform {
  required_version = ">= 1.7"

  required_providers {
    latitudesh = {
      source  = "registry.terraform.io/latitudesh/latitudesh"
      version = "~> 4.0"
    }
  }
}
