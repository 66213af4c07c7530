output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, server in hcloud_server.server : name => {
      id              = server.id
      address         = try(coalesce(server.ipv4_address, server.ipv6_address), "")
      private_address = try(one(server.network[*].ip), "")
      state           = server.status
      region          = server.location
      size            = server.server_type
      image           = server.image
    }
  }
}
