output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, server in scaleway_instance_server.server : name => {
      id              = server.id
      address         = try([for ip in server.public_ips : ip.address if ip.family == "inet"][0], server.public_ips[0].address, "")
      private_address = try(server.private_ips[0].address, "")
      state           = server.state
      region          = server.zone
      size            = server.type
      image           = server.image
    }
  }
}
