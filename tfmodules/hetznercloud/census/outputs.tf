output "found" {
  description = "The servers that carry the label or are known. What their labels do not tell is empty."
  value = [
    for server in local.servers : {
      id       = tostring(server.id)
      hostname = server.name
      server   = lookup(server.labels, "hangar-server", "")
      stack    = lookup(server.labels, "hangar-stack", "")
      instance = lookup(server.labels, "hangar-instance", "")
      address  = try(coalesce(server.ipv4_address, server.ipv6_address), "")
      state    = lookup(local.states, server.status, "other")
    }
  ]
}
