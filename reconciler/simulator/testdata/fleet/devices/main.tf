terraform {
  required_providers {
    equinix = { source = "registry.terraform.io/equinix/equinix" }
  }
}

variable "names" { type = set(string) }
variable "project_id" { type = string }
variable "facility" { type = string }
variable "create" { type = string }
variable "user_data" { type = string }

resource "equinix_metal_device" "server" {
  for_each         = var.names
  hostname         = each.key
  project_id       = var.project_id
  facilities       = [var.facility]
  plan             = "c3.small.x86"
  operating_system = "ubuntu_24_04"
  billing_cycle    = "hourly"
  user_data        = var.user_data
  tags             = ["hangar", "hangar-instance=i-1", "hangar-stack=s1", "hangar-server=${each.key}"]

  dynamic "timeouts" {
    for_each = var.create == "30m" ? [] : [var.create]
    content {
      create = timeouts.value
    }
  }

  lifecycle {
    ignore_changes = all
  }
}

output "devices" {
  value = { for name, d in equinix_metal_device.server : name => { id = d.id, address = d.access_public_ipv4, state = d.state } }
}
