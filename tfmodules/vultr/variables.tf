variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "region" {
  description = "Region in which the servers are made, for example ewr."
  type        = string
  default     = "ewr"

  validation {
    condition     = can(regex("^[a-z]{3}$", var.region))
    error_message = "region must be the id of a region, for example ewr."
  }
}

variable "plan" {
  description = "Kind of server, for example vbm-4c-32gb."
  type        = string
  default     = "vbm-4c-32gb"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*$", var.plan))
    error_message = "plan must be the id of a plan, for example vbm-4c-32gb."
  }
}

variable "os_id" {
  description = "Id of the operating system: 2284 is Ubuntu 24.04."
  type        = number
  default     = 2284

  validation {
    condition     = var.os_id > 0
    error_message = "os_id must be the number of an operating system, for example 2284."
  }
}

variable "ssh_key_ids" {
  description = "Ids of the account's SSH keys that may log in as root."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "More tags of the servers."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for tag in var.tags : length(tag) > 0 && !startswith(lower(tag), "hangar")])
    error_message = "tags must not be empty; those that begin with hangar are hangar's own."
  }
}

variable "vpc_id" {
  description = "Id of a VPC that the servers are attached to. Null: none."
  type        = string
  default     = null
}

variable "enable_ipv6" {
  description = "Give the servers a public IPv6 address, too."
  type        = bool
  default     = false
}

variable "create_timeout" {
  description = "How long a server may take until it is active."
  type        = string
  default     = "60m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 60m."
  }
}
