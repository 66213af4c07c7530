variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "zone" {
  description = "Zone in which the servers are made, for example fr-par-2."
  type        = string
  default     = "fr-par-2"

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]{3}-[0-9]$", var.zone))
    error_message = "zone must be the name of a zone, for example fr-par-2."
  }
}

variable "offer" {
  description = "Kind of server, billed by the hour: the name of an offer, for example EM-A115X-SSD, or its id."
  type        = string
  default     = "EM-A115X-SSD"

  validation {
    condition     = length(var.offer) > 0
    error_message = "offer must not be empty: it is the name of an offer, for example EM-A115X-SSD."
  }
}

variable "os" {
  description = "Id of the operating system in the zone, as scw baremetal os list tells it."
  type        = string

  validation {
    condition     = can(regex("^([a-z-]+[0-9]/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.os))
    error_message = "os must be the id of an operating system, as scw baremetal os list tells it."
  }
}

variable "ssh_key_ids" {
  description = "Ids of the SSH keys that may log in. Scaleway installs no server without one."
  type        = list(string)

  validation {
    condition     = length(var.ssh_key_ids) > 0
    error_message = "ssh_key_ids must name at least one SSH key of the project: Scaleway installs no server without one."
  }
}

variable "project_id" {
  description = "Project in which the servers are made. Null: the one of SCW_DEFAULT_PROJECT_ID."
  type        = string
  default     = null
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

variable "create_timeout" {
  description = "How long a server may take until it is installed."
  type        = string
  default     = "90m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 90m."
  }
}
