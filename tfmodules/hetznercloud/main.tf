resource "hcloud_server" "server" {
  for_each = var.devices

  name               = each.key
  location           = split("-", var.location)[0]
  server_type        = var.server_type
  image              = var.image
  user_data          = each.value.user_data
  ssh_keys           = var.ssh_keys
  firewall_ids       = var.firewall_ids
  placement_group_id = var.placement_group_id

  # A tag key=value is a label; one without a value is a label that has none.
  labels = merge(var.labels, {
    for tag in each.value.tags : split("=", tag)[0] => try(split("=", tag)[1], "")
  })

  public_net {
    ipv4_enabled = var.public_ipv4
    ipv6_enabled = var.public_ipv6
  }

  dynamic "network" {
    for_each = var.network_id[*]
    content {
      network_id = network.value
    }
  }

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, user data and keys, and would be replaced for it.
    ignore_changes = all

    precondition {
      condition     = var.public_ipv4 || var.public_ipv6 || var.network_id != null
      error_message = "network_id must be set where public_ipv4 and public_ipv6 are false: the server would have no address."
    }
  }
}
