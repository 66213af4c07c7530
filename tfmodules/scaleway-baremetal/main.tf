# The provider cannot list bare metal servers, but finds one by its name.
resource "scaleway_baremetal_server" "server" {
  for_each = var.devices

  name        = each.key
  hostname    = each.key
  zone        = var.zone
  offer       = var.offer
  os          = var.os
  project_id  = var.project_id
  ssh_key_ids = var.ssh_key_ids
  cloud_init  = each.value.user_data
  tags        = concat(var.tags, each.value.tags)

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, and would be installed anew for it.
    ignore_changes = all
  }
}
