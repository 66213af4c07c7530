data "vultr_bare_metal_server" "named" {
  filter {
    name   = "label"
    values = [var.name]
  }
}

locals {
  states = {
    pending = "booting"
    active  = "active"
  }
}
