# What the API knows of what the settings of the module packet name. It asks,
# and makes nothing; what is not known is an error of its data source.
variable "project_id" {
  description = "Project that is to be visible."
  type        = string
}

variable "facilities" {
  description = "Codes of facilities."
  type        = set(string)
}

variable "metros" {
  description = "Codes of metros."
  type        = set(string)
}

variable "plans" {
  description = "Slugs of plans."
  type        = set(string)
}

data "equinix_metal_project" "project" {
  project_id = var.project_id
}

data "equinix_metal_facility" "facility" {
  for_each = var.facilities
  code     = each.key
}

data "equinix_metal_metro" "metro" {
  for_each = var.metros
  code     = each.key
}

data "equinix_metal_plans" "plan" {
  for_each = var.plans

  filter {
    attribute = "slug"
    values    = [each.key]
  }

  lifecycle {
    postcondition {
      condition     = length(self.plans) > 0
      error_message = "There is no plan ${each.key}."
    }
  }
}
