output "found" {
  description = "The servers that carry the tag. What their tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for server in data.scaleway_instance_servers.tagged.servers : {
      id       = server.id
      hostname = server.name
      server   = try([for tag in server.tags : trimprefix(tag, "hangar-server=") if startswith(tag, "hangar-server=")][0], "")
      stack    = try([for tag in server.tags : trimprefix(tag, "hangar-stack=") if startswith(tag, "hangar-stack=")][0], "")
      instance = try([for tag in server.tags : trimprefix(tag, "hangar-instance=") if startswith(tag, "hangar-instance=")][0], "")
      address  = try(server.public_ips[0].address, "")
      state    = lookup(local.states, server.state, "other")
    }
  ]
}
