output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, device in equinix_metal_device.server : name => {
      id              = device.id
      address         = device.access_public_ipv4
      private_address = device.access_private_ipv4
      state           = device.state
      region          = try(coalesce(device.deployed_facility, device.metro), "")
      size            = device.plan
      image           = device.operating_system
    }
  }
}
