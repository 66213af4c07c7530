# The provider cannot list bare metal servers, but finds one by its name.
resource "vultr_bare_metal_server" "server" {
  for_each = var.devices

  label            = each.key
  hostname         = each.key
  region           = var.region
  plan             = var.plan
  os_id            = var.os_id
  user_data        = each.value.user_data
  ssh_key_ids      = var.ssh_key_ids
  vpc_id           = var.vpc_id
  enable_ipv6      = var.enable_ipv6
  activation_email = false
  tags             = concat(var.tags, each.value.tags)

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, and would be replaced for it.
    ignore_changes = all
  }
}
