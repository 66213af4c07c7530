resource "scaleway_instance_server" "server" {
  for_each = var.devices

  name              = each.key
  zone              = var.zone
  type              = var.type
  image             = var.image
  project_id        = var.project_id
  cloud_init        = each.value.user_data
  security_group_id = var.security_group_id
  enable_dynamic_ip = var.dynamic_ip
  tags              = concat(var.tags, each.value.tags)

  dynamic "root_volume" {
    for_each = var.volume_size[*]
    content {
      size_in_gb            = root_volume.value
      delete_on_termination = true
    }
  }

  dynamic "private_network" {
    for_each = var.private_network_id[*]
    content {
      pn_id = private_network.value
    }
  }

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, and would be changed for it.
    ignore_changes = all

    precondition {
      condition     = var.dynamic_ip || var.private_network_id != null
      error_message = "private_network_id must be set where dynamic_ip is false: the server would have no address."
    }
  }
}
