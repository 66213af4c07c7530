resource "equinix_metal_device" "server" {
  for_each = var.devices

  hostname         = each.key
  tags             = each.value.tags
  user_data        = each.value.user_data
  project_id       = var.project_id
  facilities       = var.facility == null ? null : [var.facility]
  metro            = var.metro
  plan             = var.plan
  operating_system = var.image
  billing_cycle    = var.billing_cycle

  project_ssh_key_ids     = var.project_ssh_key_ids
  hardware_reservation_id = var.hardware_reservation_id

  timeouts {
    create = var.create_timeout
  }

  lifecycle {
    # A server never changes in place. An adopted one lacks what the provider
    # never reads back, user data and keys, and would be replaced for it.
    ignore_changes = all

    precondition {
      condition     = (var.facility == null) != (var.metro == null)
      error_message = "Set exactly one of facility and metro."
    }
  }
}
