output "found" {
  description = "The server of the name. What its tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for server in [data.vultr_bare_metal_server.named] : {
      id       = server.id
      hostname = server.label
      server   = try([for tag in server.tags : trimprefix(tag, "hangar-server=") if startswith(tag, "hangar-server=")][0], "")
      stack    = try([for tag in server.tags : trimprefix(tag, "hangar-stack=") if startswith(tag, "hangar-stack=")][0], "")
      instance = try([for tag in server.tags : trimprefix(tag, "hangar-instance=") if startswith(tag, "hangar-instance=")][0], "")
      address  = server.main_ip
      state    = lookup(local.states, server.status, "other")
    }
  ]
}

output "absent" {
  description = "How the provider's error is known where there is no such server."
  value       = "^no results were found"
}
