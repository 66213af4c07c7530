terraform {
  required_version = ">= 1.7"

  required_providers {
    digitalocean = {
      source  = "registry.terraform.io/digitalocean/digitalocean"
      version = "~> 2.99"
    }
  }
}
