variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "flavor" {
  description = "Kind of server: name or id of a flavor."
  type        = string

  validation {
    condition     = length(var.flavor) > 0
    error_message = "flavor must not be empty: it is the name or the id of a flavor."
  }
}

variable "image" {
  description = "Name or id of the image."
  type        = string

  validation {
    condition     = length(var.image) > 0
    error_message = "image must not be empty: it is the name or the id of an image."
  }
}

variable "network" {
  description = "Name or id of the network that the servers are attached to. Null: the project's only one."
  type        = string
  default     = null
}

variable "floating_ip_pool" {
  description = "Network from which each server gets a floating address. Null: none; hangar must then reach the servers in their network."
  type        = string
  default     = null
}

variable "security_group_ids" {
  description = "Ids of security groups that the servers are put in, where they have a floating address; security_groups where they have none. Empty: the project's default one."
  type        = list(string)
  default     = []
}

variable "region" {
  description = "Region. Null: the one of OS_REGION_NAME."
  type        = string
  default     = null
}

variable "availability_zone" {
  description = "Availability zone. Null: the cloud chooses."
  type        = string
  default     = null
}

variable "security_groups" {
  description = "Names of security groups that the servers are put in."
  type        = list(string)
  default     = ["default"]
}

variable "key_pair" {
  description = "Name of the key pair that may log in. Null: none."
  type        = string
  default     = null
}

variable "metadata" {
  description = "More metadata of the servers."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.metadata : can(regex("^[A-Za-z0-9_. :-]{1,255}$", key)) && length(value) <= 255 && !startswith(lower(key), "hangar")])
    error_message = "metadata must have keys of at most 255 letters, digits, hyphens, underscores, colons, dots and spaces, and values of at most 255 characters; keys that begin with hangar are hangar's own."
  }
}

variable "config_drive" {
  description = "Give the servers their user data by a drive, where the cloud has no metadata service."
  type        = bool
  default     = null
}

variable "create_timeout" {
  description = "How long a server may take until it is active."
  type        = string
  default     = "30m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 30m."
  }
}
