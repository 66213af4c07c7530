locals {
  id = "^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$"
}

# The provider cannot list servers: there is no census.
resource "openstack_compute_instance_v2" "server" {
  for_each = var.devices

  name              = each.key
  region            = var.region
  availability_zone = var.availability_zone
  flavor_id         = can(regex(local.id, var.flavor)) ? var.flavor : null
  flavor_name       = can(regex(local.id, var.flavor)) ? null : var.flavor
  image_id          = can(regex(local.id, var.image)) ? var.image : null
  image_name        = can(regex(local.id, var.image)) ? null : var.image
  key_pair          = var.key_pair
  security_groups   = var.security_groups
  user_data         = each.value.user_data
  config_drive      = var.config_drive

  # A tag key=value is metadata; one without a value has an empty one.
  metadata = merge(var.metadata, {
    for tag in each.value.tags : split("=", tag)[0] => try(split("=", tag)[1], "")
  })

  dynamic "network" {
    for_each = var.network[*]
    content {
      uuid = can(regex(local.id, network.value)) ? network.value : null
      name = can(regex(local.id, network.value)) ? null : network.value
    }
  }

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, and would be replaced for it.
    ignore_changes = all
  }
}
