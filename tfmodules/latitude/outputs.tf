output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, server in latitudesh_server.server : name => {
      id              = server.id
      address         = server.primary_ipv4
      private_address = ""
      state           = server.status
      region          = server.site
      size            = server.plan
      image           = server.operating_system
    }
  }
}
