locals {
  tag = replace(var.tag, "=", ":") # as the module writes it
}

# The provider reads the whole list in any case, and filters it.
data "digitalocean_droplets" "tagged" {
  filter {
    key    = "tags"
    values = [local.tag]
  }
}

data "digitalocean_droplets" "known" {
  count = length(var.known) > 0 ? 1 : 0

  filter {
    key    = "id"
    values = var.known
  }
}

locals {
  droplets = { for droplet in concat(data.digitalocean_droplets.tagged.droplets, flatten(data.digitalocean_droplets.known[*].droplets)) : droplet.id => droplet... }

  states = {
    new     = "booting"
    active  = "active"
    archive = "leaving"
  }
}
