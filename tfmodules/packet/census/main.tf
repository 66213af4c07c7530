# The provider's own filter keeps out what is not wanted before it makes a list
# of it, which takes longer than to fetch it and grows with its square. With
# known devices the API does not narrow the list: nothing is then left to how it
# searches.
data "equinix_metal_devices" "tagged" {
  project_id = var.project_id
  search     = length(var.known) == 0 ? var.tag : null

  filter {
    attribute = "tags"
    values    = [var.tag]
  }
}

# A known device that was not among them has lost the tag, or is gone.
data "equinix_metal_devices" "untagged" {
  count = length(local.missed) > 0 ? 1 : 0

  project_id = var.project_id

  filter {
    attribute = "device_id"
    values    = local.missed
  }
}

locals {
  missed  = tolist(setsubtract(var.known, data.equinix_metal_devices.tagged.devices[*].device_id))
  devices = concat(data.equinix_metal_devices.tagged.devices, flatten(data.equinix_metal_devices.untagged[*].devices))

  states = {
    queued         = "booting"
    provisioning   = "booting"
    reinstalling   = "booting"
    active         = "active"
    failed         = "failed"
    deprovisioning = "leaving"
    deleted        = "leaving"
  }
}
