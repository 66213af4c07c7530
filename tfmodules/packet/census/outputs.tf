output "found" {
  description = "The devices that carry the tag or are known. What their tags do not tell is empty; of several tags of a kind the first counts."
  value = [
    for device in local.devices : {
      id       = device.device_id
      hostname = device.hostname
      server   = try([for tag in device.tags : trimprefix(tag, "hangar-server=") if startswith(tag, "hangar-server=")][0], "")
      stack    = try([for tag in device.tags : trimprefix(tag, "hangar-stack=") if startswith(tag, "hangar-stack=")][0], "")
      instance = try([for tag in device.tags : trimprefix(tag, "hangar-instance=") if startswith(tag, "hangar-instance=")][0], "")
      address  = device.access_public_ipv4
      state    = lookup(local.states, device.state, "other")
    }
  ]
}
