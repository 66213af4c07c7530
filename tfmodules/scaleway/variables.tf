variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "zone" {
  description = "Zone in which the servers are made, for example fr-par-1."
  type        = string
  default     = "fr-par-1"

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]{3}-[0-9]$", var.zone))
    error_message = "zone must be the name of a zone, for example fr-par-1."
  }
}

variable "type" {
  description = "Kind of server, for example DEV1-L."
  type        = string
  default     = "DEV1-L"

  validation {
    condition     = can(regex("^[A-Z0-9][A-Z0-9-]*$", var.type))
    error_message = "type must be the name of a commercial type in capitals, for example DEV1-L."
  }
}

variable "image" {
  description = "Image: its label, for example ubuntu_noble, or its id."
  type        = string
  default     = "ubuntu_noble"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_/-]*$", var.image))
    error_message = "image must be the label of an image, for example ubuntu_noble, or an id."
  }
}

variable "project_id" {
  description = "Project in which the servers are made. Null: the one of SCW_DEFAULT_PROJECT_ID."
  type        = string
  default     = null
}

variable "security_group_id" {
  description = "Id of a security group that the servers are put in. Null: the project's default one."
  type        = string
  default     = null
}

variable "private_network_id" {
  description = "Id of a private network that the servers are attached to. Null: none, and no private address."
  type        = string
  default     = null
}

variable "dynamic_ip" {
  description = "Give the servers a public address. Without one a private network must lead out."
  type        = bool
  default     = true
}

variable "volume_size" {
  description = "Size of the root volume in gigabytes. Null: as the type and the image have it."
  type        = number
  default     = null

  validation {
    condition     = var.volume_size == null || try(var.volume_size >= 10, false)
    error_message = "volume_size must be 10 gigabytes or more."
  }
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
  description = "How long a server may take until it runs."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 15m."
  }
}
