output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, server in vultr_bare_metal_server.server : name => {
      id              = server.id
      address         = server.main_ip
      private_address = ""
      state           = server.status
      region          = server.region
      size            = server.plan
      image           = server.os
    }
  }
}
