output "found" {
  description = "The server of the name, of whose state the provider tells nothing. What its tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for server in [data.scaleway_baremetal_server.named] : {
      id       = server.id
      hostname = server.name
      server   = try([for tag in server.tags : trimprefix(tag, "hangar-server=") if startswith(tag, "hangar-server=")][0], "")
      stack    = try([for tag in server.tags : trimprefix(tag, "hangar-stack=") if startswith(tag, "hangar-stack=")][0], "")
      instance = try([for tag in server.tags : trimprefix(tag, "hangar-instance=") if startswith(tag, "hangar-instance=")][0], "")
      address  = try(server.ipv4[0].address, "")
      state    = "active"
    }
  ]
}

output "absent" {
  description = "How the provider's error is known where there is no such server."
  value       = "^no element found with the name "
}
