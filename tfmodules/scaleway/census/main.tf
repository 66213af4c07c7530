# The API filters by tag. The provider reads the first page of what it answers and
# no more: a list as long as a page is perhaps not all, and must not be taken for
# all, or servers that are there would be given up. While one of the servers is on
# its way up or down, the provider refuses to tell of any: hangar asks again.
data "scaleway_instance_servers" "tagged" {
  zone       = var.zone
  project_id = var.project_id
  tags       = [var.tag]

  lifecycle {
    postcondition {
      condition     = length(self.servers) < 50
      error_message = "The provider lists at most 50 servers, and there may be more that carry ${var.tag}: no census can be made. Let pools have fewer servers in one zone and project."
    }
  }
}

locals {
  states = {
    started = "active"
  }
}
