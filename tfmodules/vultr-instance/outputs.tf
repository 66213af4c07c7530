output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, server in vultr_instance.server : name => {
      id              = server.id
      address         = server.main_ip
      private_address = server.internal_ip
      state           = server.status
      region          = server.region
      size            = server.plan
      image           = server.os
    }
  }
}
