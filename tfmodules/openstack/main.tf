locals {
  id = "^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$"
}

# A floating address is at a port. They come and go with their server; one that
# was imported by hand keeps its own, and is reached in its network.
resource "openstack_networking_port_v2" "server" {
  for_each = var.floating_ip_pool == null ? toset([]) : toset(keys(var.devices))

  name               = each.key
  region             = var.region
  network_id         = var.network
  security_group_ids = var.security_group_ids

  lifecycle {
    ignore_changes = all

    precondition {
      condition     = can(regex(local.id, var.network))
      error_message = "network must be the id of a network, not its name, where floating_ip_pool is set."
    }
  }
}

resource "openstack_networking_floatingip_v2" "server" {
  for_each = var.floating_ip_pool == null ? toset([]) : toset(keys(var.devices))

  description = each.key
  region      = var.region
  pool        = var.floating_ip_pool
  port_id     = openstack_networking_port_v2.server[each.key].id

  lifecycle {
    ignore_changes = all
  }
}

# The provider cannot list servers, nor find one by its name: there is no census.
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
  security_groups   = var.floating_ip_pool == null ? var.security_groups : null
  user_data         = each.value.user_data
  config_drive      = var.config_drive

  # A tag key=value is metadata; one without a value has an empty one.
  metadata = merge(var.metadata, {
    for tag in each.value.tags : split("=", tag)[0] => try(split("=", tag)[1], "")
  })

  dynamic "network" {
    for_each = var.network[*]
    content {
      port = var.floating_ip_pool == null ? null : openstack_networking_port_v2.server[each.key].id
      uuid = var.floating_ip_pool == null && can(regex(local.id, network.value)) ? network.value : null
      name = var.floating_ip_pool == null && !can(regex(local.id, network.value)) ? network.value : null
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
