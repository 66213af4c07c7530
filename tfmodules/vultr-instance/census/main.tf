# The provider reads the whole list in any case, and filters it. Of several values
# of a text one is enough.
data "vultr_instances" "tagged" {
  filter {
    name   = "tags"
    values = [var.tag]
  }
}

data "vultr_instances" "known" {
  count = length(var.known) > 0 ? 1 : 0

  filter {
    name   = "id"
    values = var.known
  }
}

locals {
  servers = { for server in concat(data.vultr_instances.tagged.instances, flatten(data.vultr_instances.known[*].instances)) : server.id => server... }

  states = {
    pending  = "booting"
    resizing = "booting"
    active   = "active"
  }
}
