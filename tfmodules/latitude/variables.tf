variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))

  validation {
    condition     = alltrue([for name in keys(var.devices) : length(name) <= 32])
    error_message = "devices must have names of at most 32 characters, which is what a host name may have at Latitude.sh: choose a shorter prefix."
  }
}

variable "site" {
  description = "Site in which the servers are made, for example SAO."
  type        = string
  default     = "SAO"

  validation {
    condition     = can(regex("^[A-Z]{2,4}[0-9]*$", var.site))
    error_message = "site must be the code of a site in capitals, for example SAO."
  }
}

variable "plan" {
  description = "Kind of server, for example c2-small-x86."
  type        = string
  default     = "c2-small-x86"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*$", var.plan))
    error_message = "plan must be the slug of a plan, for example c2-small-x86."
  }
}

variable "operating_system" {
  description = "Operating system, for example ubuntu_24_04_x64_lts."
  type        = string
  default     = "ubuntu_24_04_x64_lts"

  validation {
    condition     = can(regex("^[a-z0-9_]+$", var.operating_system)) && var.operating_system != "ipxe"
    error_message = "operating_system must be the slug of an operating system, for example ubuntu_24_04_x64_lts."
  }
}

variable "project" {
  description = "Id or slug of the project in which the servers are made."
  type        = string

  validation {
    condition     = length(var.project) > 0
    error_message = "project must not be empty: it is the id or the slug of a project."
  }
}

variable "ssh_keys" {
  description = "Ids of the project's SSH keys that may log in."
  type        = list(string)
  default     = []
}

variable "billing" {
  description = "How the servers are billed. Monthly and yearly ones are paid for in advance."
  type        = string
  default     = "hourly"

  validation {
    condition     = contains(["hourly", "monthly", "yearly"], var.billing)
    error_message = "billing must be hourly, monthly or yearly."
  }
}

variable "create_timeout" {
  description = "How long a server may take until it is on."
  type        = string
  default     = "60m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 60m."
  }
}
