output "found" {
  description = "The droplets that carry the tag or are known. What their tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for id, droplet in local.droplets : {
      id       = tostring(id)
      hostname = droplet[0].name
      server   = try([for tag in droplet[0].tags : trimprefix(tag, "hangar-server:") if startswith(tag, "hangar-server:")][0], "")
      stack    = try([for tag in droplet[0].tags : trimprefix(tag, "hangar-stack:") if startswith(tag, "hangar-stack:")][0], "")
      instance = try([for tag in droplet[0].tags : trimprefix(tag, "hangar-instance:") if startswith(tag, "hangar-instance:")][0], "")
      address  = droplet[0].ipv4_address
      state    = lookup(local.states, droplet[0].status, "other")
    }
  ]
}
