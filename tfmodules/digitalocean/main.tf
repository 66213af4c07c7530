resource "digitalocean_droplet" "server" {
  for_each = var.devices

  name       = each.key
  region     = var.region
  size       = var.size
  image      = var.image
  user_data  = each.value.user_data
  ssh_keys   = var.ssh_keys
  vpc_uuid   = var.vpc_uuid
  monitoring = var.monitoring
  ipv6       = var.ipv6

  # A tag takes no equals sign; a colon stands for it.
  tags = concat(var.tags, [for tag in each.value.tags : replace(tag, "=", ":")])

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, user data and keys, and would be replaced for it.
    ignore_changes = all
  }
}
