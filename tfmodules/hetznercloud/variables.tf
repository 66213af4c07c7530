variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "location" {
  description = "Location in which the servers are made, for example fsn1; of a data center, for example fsn1-dc14, the location counts."
  type        = string
  default     = "fsn1"

  validation {
    condition     = can(regex("^[a-z]+[0-9]*(-dc[0-9]+)?$", var.location))
    error_message = "location must be the name of a location, for example fsn1, or of a data center in it, for example fsn1-dc14."
  }
}

variable "server_type" {
  description = "Kind of server, for example cx33; cax21 for arm64."
  type        = string
  default     = "cx33"

  validation {
    condition     = can(regex("^[a-z]+[0-9]+$", var.server_type))
    error_message = "server_type must be the name of a server type, for example cx33."
  }
}

variable "image" {
  description = "Image, for example ubuntu-24.04, or the id of a snapshot."
  type        = string
  default     = "ubuntu-24.04"

  validation {
    condition     = length(var.image) > 0
    error_message = "image must not be empty: it is the name of an image, for example ubuntu-24.04, or the id of a snapshot."
  }
}

variable "ssh_keys" {
  description = "Ids or names of the project's SSH keys that may log in as root. Without one Hetzner mails a password for every server."
  type        = list(string)
  default     = []
}

variable "firewall_ids" {
  description = "Ids of firewalls that the servers are put behind."
  type        = list(number)
  default     = []
}

variable "network_id" {
  description = "Id of a network that the servers are attached to. Null: none, and no private address."
  type        = number
  default     = null
}

variable "public_ipv4" {
  description = "Give the servers a public IPv4 address, which is billed."
  type        = bool
  default     = true
}

variable "public_ipv6" {
  description = "Give the servers a public IPv6 network."
  type        = bool
  default     = true
}

variable "placement_group_id" {
  description = "Id of a placement group. Null: none."
  type        = number
  default     = null
}

variable "labels" {
  description = "More labels of the servers."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([for key, value in var.labels :
      can(regex("^([a-z0-9A-Z]([-_.a-z0-9A-Z]{0,61}[a-z0-9A-Z])?)$", key)) &&
      can(regex("^([a-z0-9A-Z]([-_.a-z0-9A-Z]{0,61}[a-z0-9A-Z])?)?$", value)) &&
      !startswith(key, "hangar")
    ])
    error_message = "labels must have keys and values of at most 63 letters, digits, hyphens, underscores and dots that begin and end with a letter or digit; keys that begin with hangar are hangar's own."
  }
}

variable "create_timeout" {
  description = "How long a server may take until it runs."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 15m."
  }
}
