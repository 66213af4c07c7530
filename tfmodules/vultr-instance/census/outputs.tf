output "found" {
  description = "The servers that carry the tag or are known. What their tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for id, server in local.servers : {
      id       = id
      hostname = server[0].label
      server   = try([for tag in server[0].tags : trimprefix(tag, "hangar-server=") if startswith(tag, "hangar-server=")][0], "")
      stack    = try([for tag in server[0].tags : trimprefix(tag, "hangar-stack=") if startswith(tag, "hangar-stack=")][0], "")
      instance = try([for tag in server[0].tags : trimprefix(tag, "hangar-instance=") if startswith(tag, "hangar-instance=")][0], "")
      address  = server[0].main_ip
      state    = lookup(local.states, server[0].status, "other")
    }
  ]
}
