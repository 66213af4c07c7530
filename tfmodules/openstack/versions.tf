terraform {
  required_version = ">= 1.7"

  required_providers {
    openstack = {
      source  = "registry.terraform.io/terraform-provider-openstack/openstack"
      version = "~> 3.4"
    }
  }
}
