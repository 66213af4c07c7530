# A tag is a label selector: key, or key=value. With known servers the whole list
# of the project is read.
data "hcloud_servers" "all" {
  with_selector = length(var.known) == 0 ? var.tag : null
}

locals {
  key   = split("=", var.tag)[0]
  value = try(split("=", var.tag)[1], "")

  servers = [
    for server in data.hcloud_servers.all.servers : server
    if contains(var.known, tostring(server.id)) || lookup(server.labels, local.key, null) == local.value
  ]

  states = {
    initializing = "booting"
    starting     = "booting"
    running      = "active"
    deleting     = "leaving"
  }
}
