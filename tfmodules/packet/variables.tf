variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "project_id" {
  description = "Project in which the servers are made."
  type        = string

  validation {
    condition     = length(var.project_id) > 0
    error_message = "project_id must not be empty: it is the id of an Equinix Metal project."
  }
}

variable "facility" {
  description = "Facility in which the servers are made, for example ewr1. Either this or metro."
  type        = string
  default     = null

  validation {
    condition     = var.facility == null || can(regex("^[a-z0-9]+$", var.facility))
    error_message = "facility must be one code in lower case, for example ewr1."
  }
}

variable "metro" {
  description = "Metro in which the servers are made, for example ny. Either this or facility."
  type        = string
  default     = null

  validation {
    condition     = var.metro == null || can(regex("^[a-z0-9]+$", var.metro))
    error_message = "metro must be one code in lower case, for example ny."
  }
}

variable "plan" {
  description = "Kind of machine, for example c3.small.x86."
  type        = string

  validation {
    condition     = length(var.plan) > 0
    error_message = "plan must not be empty: it is the slug of a plan, for example c3.small.x86."
  }
}

variable "image" {
  description = "Operating system, for example ubuntu_24_04."
  type        = string

  validation {
    condition     = length(var.image) > 0
    error_message = "image must not be empty: it is the slug of an operating system, for example ubuntu_24_04."
  }
}

variable "billing_cycle" {
  description = "How the servers are billed."
  type        = string
  default     = "hourly"

  validation {
    condition     = contains(["hourly", "daily", "monthly", "yearly"], var.billing_cycle)
    error_message = "billing_cycle must be hourly, daily, monthly or yearly."
  }
}

variable "project_ssh_key_ids" {
  description = "Ids of the project's SSH keys that may log in. Null: all keys of the project and its members."
  type        = list(string)
  default     = null
}

variable "hardware_reservation_id" {
  description = "Reservation to take the hardware from: its id, or next-available. Null: on demand."
  type        = string
  default     = null

  validation {
    condition     = var.hardware_reservation_id == null || can(regex("^[0-9a-z-]+$", var.hardware_reservation_id))
    error_message = "hardware_reservation_id must be the id of a reservation, or next-available."
  }
}

variable "create_timeout" {
  description = "How long a server may take until it is active. The provider forgets a machine that takes longer."
  type        = string
  default     = "30m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 30m or 1h30m."
  }
}
