output "devices" {
  description = "What is known of each server, by name."
  value = {
    for name, droplet in digitalocean_droplet.server : name => {
      id              = droplet.id
      address         = droplet.ipv4_address
      private_address = droplet.ipv4_address_private
      state           = droplet.status
      region          = droplet.region
      size            = droplet.size
      image           = droplet.image
    }
  }
}
