output "devices" {
  description = "What is known of each server, by name. Without a floating address there is one address, which may be public or private."
  value = {
    for name, server in openstack_compute_instance_v2.server : name => {
      id              = server.id
      address         = try(openstack_networking_floatingip_v2.server[name].address, coalesce(server.access_ip_v4, server.access_ip_v6), "")
      private_address = try(coalesce(server.access_ip_v4, server.network[0].fixed_ip_v4), "")
      state           = server.power_state
      region          = server.region
      size            = try(coalesce(server.flavor_name, server.flavor_id), "")
      image           = try(coalesce(server.image_name, server.image_id), "")
    }
  }
}
