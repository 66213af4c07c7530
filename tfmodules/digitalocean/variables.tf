variable "devices" {
  description = "The servers, by name, which is also the host name. User data is marked sensitive by whoever passes it in; the map as a whole must not be, since its keys are resource addresses."
  type = map(object({
    user_data = string
    tags      = list(string)
  }))
}

variable "region" {
  description = "Region in which the droplets are made, for example nyc1."
  type        = string
  default     = "nyc1"

  validation {
    condition     = can(regex("^[a-z]+[0-9]$", var.region))
    error_message = "region must be the slug of a region, for example nyc1."
  }
}

variable "size" {
  description = "Kind of droplet, for example s-2vcpu-4gb."
  type        = string
  default     = "s-2vcpu-4gb"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]*$", var.size))
    error_message = "size must be the slug of a size, for example s-2vcpu-4gb."
  }
}

variable "image" {
  description = "Image: its slug, for example ubuntu-24-04-x64, or the id of a snapshot."
  type        = string
  default     = "ubuntu-24-04-x64"

  validation {
    condition     = length(var.image) > 0
    error_message = "image must not be empty: it is the slug of an image, for example ubuntu-24-04-x64, or the id of a snapshot."
  }
}

variable "ssh_keys" {
  description = "Ids or fingerprints of the account's SSH keys that may log in as root. Without one DigitalOcean mails a password for every droplet."
  type        = list(string)
  default     = []
}

variable "vpc_uuid" {
  description = "Id of the VPC. Null: the region's default one."
  type        = string
  default     = null
}

variable "monitoring" {
  description = "Install DigitalOcean's agent for metrics."
  type        = bool
  default     = false
}

variable "ipv6" {
  description = "Give the droplets a public IPv6 address, too."
  type        = bool
  default     = false
}

variable "tags" {
  description = "More tags of the droplets. A firewall that is to apply to them names one of them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for tag in var.tags : can(regex("^[A-Za-z0-9:_-]{1,255}$", tag)) && !startswith(lower(tag), "hangar")])
    error_message = "tags must be of letters, digits, colons, hyphens and underscores, at most 255; those that begin with hangar are hangar's own."
  }
}

variable "create_timeout" {
  description = "How long a droplet may take until it is active."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^([0-9]+(h|m|s))+$", var.create_timeout))
    error_message = "create_timeout must be a duration, for example 15m."
  }
}
