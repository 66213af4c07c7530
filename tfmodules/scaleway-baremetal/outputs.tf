output "devices" {
  description = "What is known of each server, by name. Of its state the provider tells nothing: it is there once it is installed."
  value = {
    for name, server in scaleway_baremetal_server.server : name => {
      id              = server.id
      address         = try(server.ipv4[0].address, "")
      private_address = ""
      state           = "installed"
      region          = server.zone
      size            = try(coalesce(server.offer_name, server.offer), "")
      image           = try(coalesce(server.os_name, server.os), "")
    }
  }
}
