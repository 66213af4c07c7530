terraform {
  required_version = ">= 1.7"

  required_providers {
    vultr = {
      source  = "registry.terraform.io/vultr/vultr"
      version = "~> 2.32"
    }
  }
}
