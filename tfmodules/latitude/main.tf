# User data is an object of its own at Latitude.sh. It comes and goes with its
# server.
resource "latitudesh_user_data" "agent" {
  for_each = toset(keys(var.devices))

  description = each.key
  content     = base64encode(var.devices[each.key].user_data)

  lifecycle {
    ignore_changes = all
  }
}

# The provider can neither list servers nor find one by its name, and a tag is an
# object of its own that is named by its id: there is no census, and no tags. Nor
# can one be adopted: the provider would update what it imports.
resource "latitudesh_server" "server" {
  for_each = var.devices

  hostname         = each.key
  site             = var.site
  plan             = var.plan
  operating_system = var.operating_system
  project          = var.project
  ssh_keys         = var.ssh_keys
  billing          = var.billing
  user_data        = latitudesh_user_data.agent[each.key].id

  timeouts = {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, and would be installed anew for it.
    ignore_changes = all
  }
}
